#!/usr/bin/env bash
# torchmetrics==1.9.0 beside scikit-learn==1.9.1, seen in 2026-11.
# A ranking loss should not depend on the order in which the labels are numbered. One would expect
# tied scores to cost the same whichever label is the present one, and both libraries to agree.
# What happens: with four equal scores and one present label, torchmetrics gives 1, 2/3, 1/3 or 0,
# by the number of the present label (a tie is read as a ranking in the order of the columns), while
# scikit-learn gives 1 each time. Coverage error and label ranking average precision agree.
# Why it matters: scores tie often (0/1 predictions, nearest neighbours, rounded or half-precision
# scores, labels that get the same small score), and sorting the labels then changes the result.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    'torch==2.13.0' \
    'torchmetrics==1.9.0' \
    'scikit-learn==1.9.1' \
    'scipy==1.17.1' \
    'numpy==2.4.6'

cat > "$work/expected" <<'EOF'
torchmetrics 1.9.0 scikit-learn 1.9.1
ranking loss, label 0 present: torchmetrics 1.00 scikit-learn 1.00
ranking loss, label 1 present: torchmetrics 0.67 scikit-learn 1.00
ranking loss, label 2 present: torchmetrics 0.33 scikit-learn 1.00
ranking loss, label 3 present: torchmetrics 0.00 scikit-learn 1.00
coverage, label 0 present: torchmetrics 4.00 scikit-learn 4.00
coverage, label 1 present: torchmetrics 4.00 scikit-learn 4.00
coverage, label 2 present: torchmetrics 4.00 scikit-learn 4.00
coverage, label 3 present: torchmetrics 4.00 scikit-learn 4.00
LRAP, label 0 present: torchmetrics 0.25 scikit-learn 0.25
LRAP, label 1 present: torchmetrics 0.25 scikit-learn 0.25
LRAP, label 2 present: torchmetrics 0.25 scikit-learn 0.25
LRAP, label 3 present: torchmetrics 0.25 scikit-learn 0.25
EOF

cat > "$work/look.py" <<'EOF'
import numpy as np
import sklearn
import torch
import torchmetrics
from sklearn.metrics import coverage_error, label_ranking_average_precision_score, label_ranking_loss
from torchmetrics.functional.classification import (
    multilabel_coverage_error,
    multilabel_ranking_average_precision,
    multilabel_ranking_loss,
)

print("torchmetrics", torchmetrics.__version__, "scikit-learn", sklearn.__version__)
pairs = {
    "ranking loss": (multilabel_ranking_loss, label_ranking_loss),
    "coverage": (multilabel_coverage_error, coverage_error),
    "LRAP": (multilabel_ranking_average_precision, label_ranking_average_precision_score),
}
scores = np.full((1, 4), 0.5, dtype=np.float32)
for name, (theirs, other) in pairs.items():
    for present in range(4):
        y = np.eye(4, dtype=int)[[present]]
        print(f"{name}, label {present} present:"
              f" torchmetrics {theirs(torch.tensor(scores), torch.tensor(y), 4):.2f}"
              f" scikit-learn {other(y, scores):.2f}")
EOF

cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" look.py | tee "$work/seen"
if ! diff "$work/expected" "$work/seen"; then
    echo "The behaviour changed (above: < expected, > seen)." >&2
    exit 1
fi
echo "As described."
