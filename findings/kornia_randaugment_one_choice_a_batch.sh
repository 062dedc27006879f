#!/usr/bin/env bash
# kornia==0.9.0 (with torch 2.13.0), seen in 2026-11.
# RandAugment was made for pictures that a data loader augments one by one: each draws its own operations. In kornia it
# augments batches on the device, and most of its augmentations draw anew for each picture of a batch. One would expect
# 64 pictures of a batch to get different operations.
# What happens: a batch draws its operations once; pictures differ in their sign and chance alone. Of 100 batches of 64
# copies of a picture, many come out with all 64 alike; of 100 lists of 64 calls with one copy each, none does. Batches
# of large steps are augmented far more alike than a recipe from elsewhere assumes.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    'kornia==0.9.0' \
    'torch==2.13.0' \
    'numpy==2.4.6'

cat > "$work/expected" <<'EOF2'
batches of 64 copies that come out alike: more than 20 of 100
64 copies one by one that come out alike: 0 of 100
EOF2

cat > "$work/look.py" <<'EOF2'
import warnings

import torch
from kornia.augmentation.auto import RandAugment

warnings.simplefilter("ignore")
torch.set_num_threads(1)
torch.manual_seed(0)
picture = torch.rand(1, 3, 16, 16)
augment = RandAugment(n=1, m=15)


def alike(pictures):
    return bool((pictures == pictures[:1]).all())


batches = sum(alike(augment(picture.expand(64, -1, -1, -1).clone())) for _ in range(100))
singles = sum(alike(torch.cat([augment(picture) for _ in range(64)])) for _ in range(100))
told = "more than 20" if batches > 20 else batches
print(f"batches of 64 copies that come out alike: {told} of 100")
print(f"64 copies one by one that come out alike: {singles} of 100")
EOF2

cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" look.py | tee "$work/seen"
if ! diff "$work/expected" "$work/seen"; then
    echo "The behaviour changed (above: < expected, > seen)." >&2
    exit 1
fi
echo "As described."
