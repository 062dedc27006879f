#!/usr/bin/env bash
# scikit-learn==1.9.1 and torchmetrics==1.9.0 together, seen in 2026-11.
# A usual way to choose a threshold per label is to take the one with the best F1 along
# scikit-learn's precision-recall curve. One would expect the F1 of the same scores at that
# threshold to be the F1 read off the curve, in whichever library it is counted.
# What happens: the thresholds of the curve are scores that occur and mean "score >= threshold";
# torchmetrics takes a label as present when "score > threshold". The rows that sit on the
# threshold are lost, so a label with one positive row falls from F1 1.0 to 0.0, without a word.
# Why it matters: rare labels, of which multi-label data has many, lose the most in a macro average.
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
scikit-learn 1.9.1 torchmetrics 1.9.0
label 0: positives 1 threshold 0.500 F1 on the curve 1.00 scikit-learn (>=) 1.00 torchmetrics 0.00
label 1: positives 3 threshold 0.625 F1 on the curve 1.00 scikit-learn (>=) 1.00 torchmetrics 0.80
EOF

cat > "$work/look.py" <<'EOF'
import numpy as np
import sklearn
import torch
import torchmetrics
from sklearn.metrics import f1_score, precision_recall_curve
from torchmetrics.functional.classification import multilabel_f1_score

print("scikit-learn", sklearn.__version__, "torchmetrics", torchmetrics.__version__)
y = np.array([[0, 1], [0, 1], [1, 0], [0, 1], [0, 0], [0, 0]])
s = np.array([[.125, .875], [.25, .75], [.5, .25], [.125, .625], [.25, .125], [.0625, .25]])
for j in range(2):
    precision, recall, threshold = precision_recall_curve(y[:, j], s[:, j])
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    i = int(f1[:-1].argmax())
    t = float(threshold[i])
    both = multilabel_f1_score(torch.tensor(s), torch.tensor(y), 2, threshold=t, average="none")
    print(f"label {j}: positives {y[:, j].sum()} threshold {t:.3f} F1 on the curve {f1[i]:.2f}"
          f" scikit-learn (>=) {f1_score(y[:, j], s[:, j] >= t):.2f} torchmetrics {both[j]:.2f}")
EOF

cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" look.py | tee "$work/seen"
if ! diff "$work/expected" "$work/seen"; then
    echo "The behaviour changed (above: < expected, > seen)." >&2
    exit 1
fi
echo "As described."
