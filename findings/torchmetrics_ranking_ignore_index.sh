#!/usr/bin/env bash
# torchmetrics==1.9.0, seen in 2026-11.
# The multi-label coverage error and ranking loss take an ignore_index, described as a target value
# that does not contribute to the result. One would expect the value of the known labels alone.
# What happens: in every row with one ignored label, the coverage error is the number of labels, the
# worst value there is, even for a perfect ranking; and the ranking loss counts the ignored label as
# one more absent label that is ranked rightly, so it comes out too small. Label ranking average
# precision with the same argument gives the value of the known labels, as one would hope.
# Why it matters: unknown labels are common in multi-label data, and both numbers look plausible.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    'torch==2.13.0' \
    'torchmetrics==1.9.0' \
    'numpy==2.4.6'

cat > "$work/expected" <<'EOF'
torchmetrics 1.9.0
perfect ranking, last label ignored: coverage 4.00 ranking loss 0.00 LRAP 1.00
perfect ranking, last label cut off: coverage 2.00 ranking loss 0.00 LRAP 1.00
one of two pairs wrong, last label ignored: coverage 4.00 ranking loss 0.25 LRAP 0.83
one of two pairs wrong, last label cut off: coverage 3.00 ranking loss 0.50 LRAP 0.83
EOF

cat > "$work/look.py" <<'EOF'
import torch
import torchmetrics
from torchmetrics.functional.classification import (
    multilabel_coverage_error as coverage,
    multilabel_ranking_average_precision as lrap,
    multilabel_ranking_loss as loss,
)

print("torchmetrics", torchmetrics.__version__)
rows = {
    "perfect ranking": ([0.9, 0.8, 0.1, 0.5], [1, 1, 0, -1]),
    "one of two pairs wrong": ([0.9, 0.6, 0.3, 0.8], [1, 0, 1, -1]),
}
for name, (scores, target) in rows.items():
    s, y = torch.tensor([scores]), torch.tensor([target])
    for what, a, b, kw in (("last label ignored", s, y, {"ignore_index": -1}),
                           ("last label cut off", s[:, :3], y[:, :3], {})):
        n = a.shape[1]
        print(f"{name}, {what}: coverage {coverage(a, b, n, **kw):.2f}"
              f" ranking loss {loss(a, b, n, **kw):.2f} LRAP {lrap(a, b, n, **kw):.2f}")
EOF

cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" look.py | tee "$work/seen"
if ! diff "$work/expected" "$work/seen"; then
    echo "The behaviour changed (above: < expected, > seen)." >&2
    exit 1
fi
echo "As described."
