#!/usr/bin/env bash
# scikit-multilearn==0.2.0 with liac-arff==2.5.0, seen in 2026-11.
# A label in an ARFF file is a nominal attribute, {0,1} in most files. {1,0} declares the same two
# values, and one would expect load_from_arff to give the 0 and 1 that stand in the data.
# What happens: the reader replaces each value by its place in the declaration, so with {1,0} every
# 1 becomes 0 and every 0 becomes 1: the whole label is turned over, in a matrix that is described
# as a binary indicator matrix and looks like one.
# Why it matters: the declared order is the writer's choice, and may differ from label to label in one
# file and between a training and a test file.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    'scikit-multilearn==0.2.0' \
    'liac-arff==2.5.0' \
    'requests' \
    'scikit-learn==1.9.1' \
    'scipy==1.17.1' \
    'numpy==2.4.6'

cat > "$work/expected" <<'EOF'
scikit-multilearn 0.2.0 liac-arff 2.5.0
b {0,1}: in the file a 1 0 1, b 1 0 1; read a [1, 0, 1], b [1, 0, 1]
b {1,0}: in the file a 1 0 1, b 1 0 1; read a [1, 0, 1], b [0, 1, 0]
EOF

cat > "$work/look.py" <<'EOF'
from importlib.metadata import version

from skmultilearn.dataset import load_from_arff

print("scikit-multilearn", version("scikit-multilearn"), "liac-arff", version("liac-arff"))
for declared in ("{0,1}", "{1,0}"):
    with open("small.arff", "w") as file:
        file.write("@relation small\n@attribute x numeric\n"
                   f"@attribute a {{0,1}}\n@attribute b {declared}\n"
                   "@data\n0.5,1,1\n1.5,0,0\n2.5,1,1\n")
    X, Y = load_from_arff("small.arff", label_count=2, label_location="end")
    Y = Y.toarray()
    print(f"b {declared}: in the file a 1 0 1, b 1 0 1; read a {Y[:, 0].tolist()}, b {Y[:, 1].tolist()}")
EOF

cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" look.py | tee "$work/seen"
if ! diff "$work/expected" "$work/seen"; then
    echo "The behaviour changed (above: < expected, > seen)." >&2
    exit 1
fi
echo "As described."
