"""Model folders on the Hugging Face hub: uploaded with a model card, downloaded without code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from manylabel.errors import ManyLabelError, missing_extra
from manylabel.methods import model_folder

CARD = "README.md"
_OWN = [*model_folder.OWN_FILES, CARD]


def upload(folder: Path, repo_id: str, private: bool, message: str) -> str:
    """Upload a model folder, and return its address.

    Raises
    ------
    ManyLabelError
        If the hub cannot be reached, or refuses.
    """
    from huggingface_hub import HfApi

    try:
        api = HfApi()
        name = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        done = api.upload_folder(
            repo_id=name,
            folder_path=folder,
            allow_patterns=_OWN,
            delete_patterns=_OWN,
            commit_message=message,
        )
    except Exception as error:  # of the network, of the hub, of the name: all end here
        hint = "Log in with `hf auth login`, or save the model to a folder."
        raise ManyLabelError("push_to_hub", "a repository to upload to", _reason(error), hint) from error
    return str(done.commit_url)


def download(repo_id: str, revision: str | None) -> Path:
    """The folder of a model on this machine; of files that are there already, none is downloaded again.

    Raises
    ------
    ManyLabelError
        If there is no such repository, or it cannot be reached.
    """
    require("from_hub")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repo_id, revision=revision, allow_patterns=_OWN))
    except Exception as error:
        expected, hint = "a folder, or a repository of the hub", "Look at its name, and at the network."
        got = f"{str(repo_id)!r:.100} ({_reason(error)})"
        raise ManyLabelError("from_hub", expected, got, hint) from error


def require(who: str) -> None:
    """Refuse to go on without the package."""
    try:
        import huggingface_hub  # noqa: F401
    except ImportError:
        raise missing_extra(who, "huggingface_hub", "hub") from None


def _reason(error: Any) -> str:
    return f"{type(error).__name__}: {(str(error) or 'no message').splitlines()[0][:200]}"
