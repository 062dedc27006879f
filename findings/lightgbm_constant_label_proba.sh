#!/usr/bin/env bash
# lightgbm==4.7.0 in scikit-learn==1.9.1's MultiOutputClassifier, seen in 2026-11.
# predict_proba of a classifier has one column for each entry of classes_. For a label that every
# training row has, classes_ is [1], and one would expect one column of ones, as scikit-learn's
# RandomForestClassifier gives.
# What happens: LightGBM returns two columns, 1 and 1e-15. The usual way to a score matrix, column 1
# for each label, then says 1e-15 for a label that is always there, exactly as for one that never
# is, while predict says 1. The project's tracker calls the two columns intended.
# Why it matters: in multi-label data a split or a fold easily has a label that is constant, and the
# scores of that label are turned over. No error comes; fit logs that there is only one class, which
# is not shown with verbose=-1, and predict_proba says nothing.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    'lightgbm==4.7.0' \
    'scikit-learn==1.9.1' \
    'scipy==1.17.1' \
    'numpy==2.4.6'

cat > "$work/expected" <<'EOF'
lightgbm 4.7.0 scikit-learn 1.9.1
always there: classes_ [1] proba (200, 2) column 1 all 1e-15: True predict [1]
never there: classes_ [0] proba (200, 2) column 1 all 1e-15: True predict [0]
always there, random forest: proba (200, 1)
EOF

cat > "$work/look.py" <<'EOF'
import lightgbm
import numpy as np
import sklearn
from lightgbm import LGBMClassifier
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.multioutput import MultiOutputClassifier

print("lightgbm", lightgbm.__version__, "scikit-learn", sklearn.__version__)
X, Y = make_multilabel_classification(200, n_features=10, n_classes=3, random_state=0)
Y[:, 1], Y[:, 2] = 1, 0
model = MultiOutputClassifier(LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1)).fit(X, Y)
for j, name in ((1, "always there"), (2, "never there")):
    p = model.predict_proba(X)[j]
    print(f"{name}: classes_ {model.estimators_[j].classes_.tolist()} proba {p.shape} column 1 all 1e-15:"
          f" {bool(np.allclose(p[:, 1], 1e-15, rtol=1e-3, atol=0))} predict {np.unique(model.predict(X)[:, j]).tolist()}")
p = MultiOutputClassifier(RandomForestClassifier(5)).fit(X, Y).predict_proba(X)[1]
print("always there, random forest: proba", p.shape)
EOF

cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" look.py | tee "$work/seen"
if ! diff "$work/expected" "$work/seen"; then
    echo "The behaviour changed (above: < expected, > seen)." >&2
    exit 1
fi
echo "As described."
