#!/usr/bin/env bash
# scikit-learn==1.9.1, seen in 2026-11.
# A row that carries no label cannot be ranked. One would expect the metrics of rankings to treat it
# alike: to leave it out, or all to count it as right, or as wrong.
# What happens: label ranking average precision counts it as perfect (1), ranking loss too (0), and
# coverage as 0, which no other row can reach, while NDCG counts it as the worst there is (0).
# Why it matters: in multi-label data a third of the rows may carry no label. The more there are, the
# better a random ranking looks by three of the metrics, and the worse a perfect one by the fourth.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q 'scikit-learn==1.9.1' 'scipy==1.17.1' 'numpy==2.4.6'

cat > "$work/expected" <<'EOF'
scikit-learn 1.9.1
0 of 4 rows without a label: LRAP 1.00, ranking loss 0.00, coverage 1.00, NDCG 1.00
2 of 6 rows without a label: LRAP 1.00, ranking loss 0.00, coverage 0.67, NDCG 0.67
4 of 8 rows without a label: LRAP 1.00, ranking loss 0.00, coverage 0.50, NDCG 0.50
worst ranking, 0 of 4 rows without a label: LRAP 0.25, ranking loss 1.00, coverage 4.00, NDCG 0.43
worst ranking, 4 of 8 rows without a label: LRAP 0.62, ranking loss 0.50, coverage 2.00, NDCG 0.22
EOF

cat > "$work/look.py" <<'EOF'
import numpy as np
import sklearn
from sklearn.metrics import coverage_error, label_ranking_average_precision_score, label_ranking_loss, ndcg_score

print("scikit-learn", sklearn.__version__)


def told(without, scores_of_carried, before=""):
    y = np.vstack([np.eye(4, dtype=int), np.zeros((without, 4), dtype=int)])
    scores = np.where(y == 1, scores_of_carried, 0.5) + np.linspace(0, 0.1, 4)
    values = {
        "LRAP": label_ranking_average_precision_score(y, scores),
        "ranking loss": label_ranking_loss(y, scores),
        "coverage": coverage_error(y, scores),
        "NDCG": ndcg_score(y, scores),
    }
    print(f"{before}{without} of {len(y)} rows without a label: {', '.join(f'{k} {v:.2f}' for k, v in values.items())}")


for without in (0, 2, 4):
    told(without, 0.9)
for without in (0, 4):
    told(without, 0.1, "worst ranking, ")
EOF

cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" look.py | tee "$work/seen"
if ! diff "$work/expected" "$work/seen"; then
    echo "The behaviour changed (above: < expected, > seen)." >&2
    exit 1
fi
echo "As described."
