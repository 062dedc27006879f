#!/usr/bin/env bash
# torchmetrics==1.9.0 beside scikit-learn==1.9.1, seen in 2026-11.
# A label that no row of a test part carries has no area under the ROC curve. One would expect a macro
# mean to leave it out or to be undefined, and both libraries to agree.
# What happens: torchmetrics counts such a label as 0 (and warns), and so a label that every row
# carries, so that the mean of two labels ranked perfectly and one absent one is 0.67. scikit-learn
# gives NaN for the label and for the mean.
# Why it matters: rare labels are often absent from a test part or a fold; a macro AUROC then falls by
# a share that has nothing to do with the model, and folds differ by which labels they happen to hold.
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
no row carries label 2: torchmetrics 1.00 1.00 0.00 macro 0.67, scikit-learn 1.00 1.00 nan macro nan
every row carries label 2: torchmetrics 1.00 1.00 0.00 macro 0.67, scikit-learn 1.00 1.00 nan macro nan
EOF

cat > "$work/look.py" <<'EOF'
import warnings

import numpy as np
import sklearn
import torch
import torchmetrics
from sklearn.metrics import roc_auc_score
from torchmetrics.functional.classification import multilabel_auroc

warnings.simplefilter("ignore")
print("torchmetrics", torchmetrics.__version__, "scikit-learn", sklearn.__version__)
scores = np.linspace(0.1, 0.9, 6, dtype=np.float32)[:, None].repeat(3, 1)
for told, value in (("no row carries", 0), ("every row carries", 1)):
    y = np.array([0, 0, 0, 1, 1, 1])[:, None].repeat(3, 1)
    y[:, 2] = value
    ours = multilabel_auroc(torch.tensor(scores), torch.tensor(y), 3, average=None).tolist()
    mean = multilabel_auroc(torch.tensor(scores), torch.tensor(y), 3, average="macro").item()
    theirs, other = (roc_auc_score(y, scores, average=average) for average in (None, "macro"))
    print(
        f"{told} label 2: torchmetrics {' '.join(f'{v:.2f}' for v in ours)} macro {mean:.2f},"
        f" scikit-learn {' '.join(f'{v:.2f}' for v in theirs)} macro {other:.2f}"
    )
EOF

cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" look.py | tee "$work/seen"
if ! diff "$work/expected" "$work/seen"; then
    echo "The behaviour changed (above: < expected, > seen)." >&2
    exit 1
fi
echo "As described."
