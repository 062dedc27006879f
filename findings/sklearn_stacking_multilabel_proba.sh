#!/usr/bin/env bash
# scikit-learn==1.9.1, seen in 2026-11.
# StackingClassifier takes a 0/1 label matrix. One would expect column j of its predict_proba to be
# the probability that label j is present, as it is in the other classifiers of the library that
# return one column per label (OneVsRestClassifier and MLPClassifier are shown).
# What happens: it is the probability that the label is absent. The shape (rows, labels) fits, the
# values lie between 0 and 1, predict goes the right way, and the documentation says "class
# probabilities". Every ROC-AUC, average precision or threshold taken from it is upside down.
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
shape (200, 4)
equal to P(absent) of the final estimator: True
equal to P(present) of the final estimator: False
predict agrees with proba < 0.5: True
Stacking (200, 4) ROC-AUC of the 4 labels: all < 0.25
1 - Stacking (200, 4) ROC-AUC of the 4 labels: all > 0.75
OneVsRest (200, 4) ROC-AUC of the 4 labels: all > 0.75
MLP (200, 4) ROC-AUC of the 4 labels: all > 0.75
EOF

cat > "$work/look.py" <<'EOF'
import warnings

import numpy as np
import sklearn
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import RandomForestClassifier, StackingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier

print("scikit-learn", sklearn.__version__)
X, Y = make_multilabel_classification(600, n_features=10, n_classes=4, random_state=0)
stack = StackingClassifier(
    [("neighbours", KNeighborsClassifier(15)), ("forest", RandomForestClassifier(50, random_state=0))],
    final_estimator=KNeighborsClassifier(15),
    cv=3,
).fit(X[:400], Y[:400])
proba = stack.predict_proba(X[400:])
last = stack.final_estimator_.predict_proba(stack.transform(X[400:]))
print("shape", proba.shape)
for column, name in enumerate(("absent", "present")):
    same = all(np.array_equal(proba[:, j], last[j][:, column]) for j in range(4))
    print(f"equal to P({name}) of the final estimator: {same}")
print("predict agrees with proba < 0.5:", np.array_equal(stack.predict(X[400:]), (proba < 0.5).astype(int)))
others = {
    "OneVsRest": OneVsRestClassifier(KNeighborsClassifier(15)),
    "MLP": MLPClassifier((20,), solver="lbfgs", max_iter=50, random_state=0),
}
results = {"Stacking": proba, "1 - Stacking": 1 - proba}
warnings.simplefilter("ignore", ConvergenceWarning)
for name, model in others.items():
    results[name] = model.fit(X[:400], Y[:400]).predict_proba(X[400:])
for name, p in results.items():
    auc = roc_auc_score(Y[400:], p, average=None)
    print(name, p.shape, "ROC-AUC of the 4 labels:", "all > 0.75" if (auc > 0.75).all() else "all < 0.25" if (auc < 0.25).all() else auc)
EOF

cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" look.py | tee "$work/seen"
if ! diff "$work/expected" "$work/seen"; then
    echo "The behaviour changed (above: < expected, > seen)." >&2
    exit 1
fi
echo "As described."
