#!/usr/bin/env bash
# iterative-stratification==0.1.9, seen in 2026-11.
# MultilabelStratifiedShuffleSplit takes test_size; its notes say that the sizes may differ slightly
# from what was asked. One would expect about 48 of 240 rows for test_size=0.2.
# What happens: each row of a rare label goes to the part that still wants most of that label. Two
# rows of one label both go to a training part of 0.8, so when each label has two rows the test part
# is empty, and with 50 such labels beside a frequent one none of the 50 is ever tested. When each
# label has three rows, one of them is tested, and the test part is two thirds too large.
# Why it matters: most labels are rare in a long-tailed data set, which is why one stratifies; the
# test part then has quite another size than asked, and no repeat with new chance mends it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    'iterative-stratification==0.1.9' \
    'scikit-learn==1.9.1' \
    'scipy==1.17.1' \
    'numpy==2.4.6'

cat > "$work/expected" <<'EOF'
iterative-stratification 0.1.9
240 rows, 2 of each label, 48 test rows asked: [0]
240 rows, 3 of each label, 48 test rows asked: [80]
240 rows, 40 of each label, 48 test rows asked: [48]
240 rows, 50 labels of two rows and a frequent one: test rows, rare ones among them [(28, 0)]
EOF

cat > "$work/look.py" <<'EOF'
from importlib.metadata import version

import numpy as np
from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

print("iterative-stratification", version("iterative-stratification"))


def sizes(Y, rare=None):
    split = MultilabelStratifiedShuffleSplit(n_splits=5, test_size=0.2, random_state=0)
    return [(len(test), int(Y[test].sum(0)[:rare].sum())) for _, test in split.split(Y, Y)]


n = 240
for each in (2, 3, 40):
    Y = np.eye(n // each, dtype=int)[np.arange(n) % (n // each)]
    print(f"{n} rows, {each} of each label, {n * 0.2:.0f} test rows asked: {sorted({a for a, _ in sizes(Y)})}")
# rows 0..99 have one of 50 rare labels, the other rows the one frequent label
Y = np.zeros((n, 51), dtype=int)
Y[np.arange(100), np.arange(100) % 50] = 1
Y[100:, 50] = 1
print(f"{n} rows, 50 labels of two rows and a frequent one: test rows, rare ones among them {sorted(set(sizes(Y, 50)))}")
EOF

cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" look.py | tee "$work/seen"
if ! diff "$work/expected" "$work/seen"; then
    echo "The behaviour changed (above: < expected, > seen)." >&2
    exit 1
fi
echo "As described."
