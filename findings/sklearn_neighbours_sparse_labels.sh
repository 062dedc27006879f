#!/usr/bin/env bash
# scikit-learn==1.9.1, seen in 2026-11.
# KNeighborsClassifier.fit is documented to take a sparse label matrix of shape (rows, outputs). One
# would expect the predictions of the dense matrix, dense or sparse.
# What happens: fit and predict run without error or warning, and predict returns an object array
# of the right shape (rows, labels) in which each cell holds a whole sparse column of the training
# labels. It is the same for every row: the features have no influence. With the same numbers as a
# dense matrix the predictions are ordinary.
# Why it matters: sparse is the natural form of a label matrix with many labels, and the shape of
# the result is the one expected.
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
dense labels: ndarray int64 (7, 4)
sparse labels: ndarray object (7, 4)
a cell is sparse: True of shape (100, 1)
cell (i, j) is training column j for each i: True
EOF

cat > "$work/look.py" <<'EOF'
import numpy as np
import scipy.sparse as sp
import sklearn
from sklearn.datasets import make_multilabel_classification
from sklearn.neighbors import KNeighborsClassifier

print("scikit-learn", sklearn.__version__)
X, Y = make_multilabel_classification(100, n_features=10, n_classes=4, random_state=0)
dense = KNeighborsClassifier(5).fit(X, Y).predict(X[:7])
print("dense labels:", type(dense).__name__, dense.dtype, dense.shape)
seen = KNeighborsClassifier(5).fit(X, sp.csr_matrix(Y)).predict(X[:7])
print("sparse labels:", type(seen).__name__, seen.dtype, seen.shape)
print("a cell is sparse:", sp.issparse(seen[0, 0]), "of shape", seen[0, 0].shape)
print("cell (i, j) is training column j for each i:", all(
    np.array_equal(seen[i, j].toarray().ravel(), Y[:, j]) for i in range(7) for j in range(4)))
EOF

cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" look.py | tee "$work/seen"
if ! diff "$work/expected" "$work/seen"; then
    echo "The behaviour changed (above: < expected, > seen)." >&2
    exit 1
fi
echo "As described."
