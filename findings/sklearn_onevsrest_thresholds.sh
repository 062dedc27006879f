#!/usr/bin/env bash
# scikit-learn==1.9.1, seen in 2026-11.
# FixedThresholdClassifier and TunedThresholdClassifierCV change where a binary classifier says yes.
# One would expect OneVsRestClassifier around them to use one such threshold for each label.
# What happens: OneVsRestClassifier reads the scores and cuts them at its own middle (0 or 0.5), so
# the thresholds, tuned at some cost and stored in its estimators, change no prediction at all.
# MultiOutputClassifier around the same classifier does use them. The documentation says that the
# scores are read; it does not say that a threshold classifier inside has no effect.
# Why it matters: thresholds per label are the first thing to tune in multi-label work, and this is
# the obvious way to write it.
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
fixed 0.1: OneVsRest differs from the plain model in 0 cells; its own estimators do: True; MultiOutput agrees with them: True
tuned for F1: OneVsRest differs from the plain model in 0 cells; its own estimators do: True; MultiOutput agrees with them: True
EOF

cat > "$work/look.py" <<'EOF'
import numpy as np
import sklearn
from sklearn.datasets import make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier

print("scikit-learn", sklearn.__version__)
X, Y = make_multilabel_classification(400, n_features=10, n_classes=4, random_state=0)
plain = OneVsRestClassifier(LogisticRegression()).fit(X, Y).predict(X)
for name, inner in (
    ("fixed 0.1", FixedThresholdClassifier(LogisticRegression(), threshold=0.1)),
    ("tuned for F1", TunedThresholdClassifierCV(LogisticRegression(), scoring="f1", cv=3)),
):
    ovr, multi = (m(inner).fit(X, Y) for m in (OneVsRestClassifier, MultiOutputClassifier))
    own = np.column_stack([e.predict(X) for e in ovr.estimators_])
    print(f"{name}: OneVsRest differs from the plain model in {(ovr.predict(X) != plain).sum()} cells;"
          f" its own estimators do: {(own != plain).sum() > 0};"
          f" MultiOutput agrees with them: {np.array_equal(multi.predict(X), own)}")
EOF

cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" look.py | tee "$work/seen"
if ! diff "$work/expected" "$work/seen"; then
    echo "The behaviour changed (above: < expected, > seen)." >&2
    exit 1
fi
echo "As described."
