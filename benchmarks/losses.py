"""The losses against textbook forms and bare matrix products: ``python -m benchmarks.losses [case ...]``.

The same table as ``manylabel bench losses``; the cases are in :mod:`manylabel.benchmarking.losses`.
"""

from __future__ import annotations

import sys

from manylabel.cli import main

if __name__ == "__main__":
    main(["bench", "losses", *sys.argv[1:]])
