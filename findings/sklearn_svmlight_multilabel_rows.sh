#!/usr/bin/env bash
# scikit-learn==1.9.1, seen in 2026-11.
# dump_svmlight_file and load_svmlight_file have multilabel=True for the LIBSVM multi-label format.
# One would expect to read back as many rows as were written.
# What happens: a row with no label and no non-zero feature is written as a line with a single
# blank, and the loader passes over it, so every later row moves up by one; anything kept beside the
# file (row ids, scores, a second feature table) then belongs to another row. A row with no label
# but with features is kept, and so is an empty row of the single-label form, whose 0 is written.
# Why it matters: rows without a label and texts without a known word are ordinary in sparse
# multi-label data, and nothing tells that the table got shorter.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    'scikit-learn==1.9.1' \
    'scipy==1.17.1' \
    'numpy==2.4.6'

cat > "$work/expected" <<'EOF'
scikit-learn 1.9.1
multilabel b'0 0:1\n \n1,2 1:2\n 0:3\n'
rows written 4 rows read 3 labels read [[0.0], [1.0, 2.0], []]
single label b'1 0:1\n0 \n0 1:2\n0 0:3\n'
rows written 4 rows read 4 labels read [1.0, 0.0, 0.0, 0.0]
EOF

cat > "$work/look.py" <<'EOF'
import io

import numpy as np
import sklearn
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

print("scikit-learn", sklearn.__version__)
X = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
Y = np.array([[1, 0, 0], [0, 0, 0], [0, 1, 1], [0, 0, 0]])
for multilabel, y in ((True, Y), (False, Y[:, 0])):
    file = io.BytesIO()
    dump_svmlight_file(X, y, file, multilabel=multilabel)
    print("multilabel" if multilabel else "single label", file.getvalue())
    file.seek(0)
    X2, y2 = load_svmlight_file(file, n_features=2, multilabel=multilabel)
    print("rows written", len(X), "rows read", X2.shape[0], "labels read", [np.array(v).tolist() for v in y2])
EOF

cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" look.py | tee "$work/seen"
if ! diff "$work/expected" "$work/seen"; then
    echo "The behaviour changed (above: < expected, > seen)." >&2
    exit 1
fi
echo "As described."
