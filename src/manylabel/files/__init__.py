"""Files that outlive a kill, a full disk and damage: atomic writing, digests, and locks on folders.

:func:`write` replaces a file whole, :func:`writing` piece by piece; :func:`write_checked` and :func:`read_checked` keep
a digest beside it, and :class:`Lock` keeps two processes from working in one folder.
"""

from manylabel.files.digests import DIGESTS, Damaged, read_checked, write_checked
from manylabel.files.locking import Lock
from manylabel.files.paths import Unusable, as_path, usable_folder
from manylabel.files.processes import host, is_alive
from manylabel.files.writing import is_own, remove_leftovers, write, writing

__all__ = [
    "DIGESTS",
    "Damaged",
    "Lock",
    "Unusable",
    "as_path",
    "host",
    "is_alive",
    "is_own",
    "read_checked",
    "remove_leftovers",
    "usable_folder",
    "write",
    "write_checked",
    "writing",
]
