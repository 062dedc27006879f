#!/usr/bin/env bash
# mlrl-boomer==0.12.3 (with scikit-learn 1.7.2), seen in 2026-11.
# BoomerClassifier is an estimator of scikit-learn's kind for multi-label rules. There, 0 is a seed like any other and
# the one that most examples and studies begin with. One would expect random_state=0 to be a seed.
# What happens: fit refuses it ("must be greater or equal to 1"); 1 and None work. A study that counts its seeds from 0
# loses its first one, at the end of fit's preparation and not when the estimator is built.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    'mlrl-boomer==0.12.3' \
    'scikit-learn==1.7.2' \
    'scipy==1.16.3' \
    'numpy==2.3.5'

cat > "$work/expected" <<'EOF2'
built with random_state=0: True
None fits, shape (60, 3)
0 is refused: Invalid value given for parameter "random_state": Must be greater or equal to 1, but is 0
1 fits, shape (60, 3)
EOF2

cat > "$work/look.py" <<'EOF2'
from mlrl.boosting import BoomerClassifier
from sklearn.datasets import make_multilabel_classification

X, Y = make_multilabel_classification(60, n_features=5, n_classes=3, random_state=0)
print("built with random_state=0:", BoomerClassifier(random_state=0).get_params()["random_state"] == 0)
for seed in (None, 0, 1):
    try:
        print(seed, "fits, shape", BoomerClassifier(random_state=seed).fit(X, Y).predict(X).shape)
    except ValueError as error:
        print(seed, "is refused:", error)
EOF2

cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" look.py | tee "$work/seen"
if ! diff "$work/expected" "$work/seen"; then
    echo "The behaviour changed (above: < expected, > seen)." >&2
    exit 1
fi
echo "As described."
