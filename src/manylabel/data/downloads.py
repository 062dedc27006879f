"""Downloads of single files: fetched once, verified by their digest, and kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manylabel.data.cache import CACHE_VARIABLE
from manylabel.errors import ManyLabelError, missing_extra


@dataclass(frozen=True)
class RemoteFile:
    """A file to download.

    Attributes
    ----------
    name : str
        Under which it is kept; appended to the entry's ``base`` address, unless there is a ``url``.
    sha256 : str
    bytes : int, default 0
        0 where the size is not known.
    url : str, default ""
        Its own address.
    """

    name: str
    sha256: str
    bytes: int = 0
    url: str = ""


def fetch(who: str, url: str, file: RemoteFile, target: Path) -> None:
    """Download a file into a folder, unless it is there and is what it should be.

    Raises
    ------
    ManyLabelError
        If the address cannot be reached, the file is not what it should be, or the folder cannot be written.
    """
    pooch = _pooch()
    from requests import RequestException  # comes with pooch

    hint = "Check the connection, or name a folder that holds a copy with `data_dir` or MANYLABEL_DATA."
    try:
        pooch.retrieve(url, f"sha256:{file.sha256}", fname=file.name, path=target)
    except RequestException as error:
        raise ManyLabelError(who, f"to download {url}", _reason(error), hint) from None
    except OSError as error:
        hint = f"Name another folder with {CACHE_VARIABLE}."
        got = error.strerror or str(error)
        raise ManyLabelError(who, f"a folder {target} to write to", got, hint) from None
    except ValueError:  # pooch found another digest
        expected = f"{url} to have sha256 {file.sha256}"
        hint = f"The file has changed or was cut off. {hint}"
        raise ManyLabelError(who, expected, "another content", hint) from None


def _pooch() -> Any:
    try:
        import pooch
    except ImportError:
        raise missing_extra("download", "pooch", "data") from None
    pooch.get_logger().setLevel("WARNING")
    return pooch


def _reason(error: Any) -> str:
    if error.response is not None:
        return f"HTTP status {error.response.status_code}"
    return f"no answer ({type(error).__name__})"
