"""What people do, in seconds: a fit, an embedding, a search, a study; in processes that may be killed or refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.killed_work import end, start
from tests.study.small_study import TINY, TINY_PRETRAINING, plan, write_rows
from tests.text_encoders import static_folder, themed_texts

from manylabel import MultiLabelClassifier, data
from manylabel.study import run
from manylabel.training import Run

SMALL = TINY | TINY_PRETRAINING
Work = Callable[[Path, Path], Any]


def fit(given: Path, out: Path) -> None:
    """What a person does: a model of an estimator, and the folder of it."""
    every_step()
    with np.load(given / "tiny.npz") as rows:
        X, Y = rows["X_train"], rows["y_train"]
    model = MultiLabelClassifier("mulsupcon", settings=SMALL, validation=0.25, random_state=0)
    model.fit(X, Y, folder=out / "training").save(out / "model")


def embed(given: Path, out: Path) -> None:
    """Texts through a frozen encoder into the cache, and a file of vectors out of it."""
    from manylabel.methods.embedding import embed_dataset, opened_encoder, write_dataset

    os.environ["MANYLABEL_CACHE"] = str(out / "cache")
    texts = data.load(str(given / "texts.jsonl"), labels="tags")
    write_dataset(embed_dataset(texts, opened_encoder(str(given / "static"), "text")), out / "vectors.npz")


def search(given: Path, out: Path) -> None:
    """Three trials and the page of them."""
    from manylabel.study.search import report, tune
    from manylabel.study.search.search import Search

    space = given / "space.toml"
    asked = Search((str(given / "tiny.npz"),), "bce", trials=3, settings=TINY, space=space, out=out)
    report.write(asked, tune.run(asked, lambda line: None))


def study(given: Path, out: Path) -> int:
    """Two cells, one after the other."""
    every_step()
    asked = plan(given / "tiny.npz", out, seeds=(0,), settings={"bce": TINY, "mulsupcon": SMALL})
    return 2 * bool(run(asked, lambda event: None))


def every_step() -> None:
    """A checkpoint after every step, in a process that ends with its work."""
    Run.__init__.__defaults__ = (*(Run.__init__.__defaults__ or ())[:-1], 0.0)


def trials(out: Path) -> list[Any]:
    """What the trials of a search tried and reached."""
    import optuna

    storage = f"sqlite:///{out / 'trials.db'}"
    (name,) = optuna.get_all_study_names(storage)
    made = optuna.load_study(study_name=name, storage=storage).trials
    return [(t.params, t.value) for t in made if t.state.name == "COMPLETE"]


def left(out: Path) -> dict[str, Any]:
    """What a work left: models, arrays and scores by their bytes, records without clocks, and what trials reached."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        if path.suffix in (".safetensors", ".npy") and path.stem != "checkpoint":
            found[str(path.relative_to(out))] = path.read_bytes()
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                found[str(path.relative_to(out))] = {name: arrays[name].tobytes() for name in arrays}
        if path.name == "run.json":
            record = json.loads(path.read_bytes())
            found[str(path.relative_to(out))] = [
                record[name] for name in ("metrics", "thresholds") if name in record
            ]
        if path.name == "trials.db":
            found["trials"] = trials(out)
    return found


WORKS: dict[str, Work] = {"fit": fit, "embed": embed, "search": search, "study": study}


def write_given(folder: Path) -> Path:
    """Rows, texts, an encoder and a space of settings."""
    write_rows(folder / "tiny.npz")
    static_folder(folder / "static")
    (folder / "space.toml").write_text('"classify.stage.lr" = { low = 1e-3, high = 1e-1, log = true }\n')
    texts, Y = themed_texts(60)
    lines = [
        json.dumps({"text": text, "tags": [str(c) for c in row.nonzero()[0]]})
        for text, row in zip(texts, Y, strict=True)
    ]
    (folder / "texts.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def go(name: str, given: Path, out: Path, at: int = 0, **faults: int) -> int:
    """The exit code of a work in a process of its own; see :func:`tests.killed_work.start`."""
    out.mkdir(exist_ok=True)
    if name == "search":
        pytest.importorskip("optuna", reason="needs optuna")
        pytest.importorskip(
            "sqlalchemy", reason="needs SQLAlchemy"
        )  # here: the fork then sees its statements
    return end(start(lambda: WORKS[name](given, out), str(out), at, **faults))
