"""Model folders: written whole or not at all, checked before they are read, and known to one file alone."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.files.test_digests import damaged

from manylabel.errors import ManyLabelError
from manylabel.files import Lock
from manylabel.methods import model_folder
from manylabel.methods.model_folder import Contents, Schema
from manylabel.methods.part import Part

SOURCE = Path(__file__).parents[2] / "src" / "manylabel"


def contents(name: str = "bce") -> Contents:
    return Contents(
        recipe={"name": name, "rate": 0.1},
        label_names=("sea", "Straße", "😀", "half \udc80"),
        input=Schema(kind="vectors", form="shape (3,)"),
        note="half of it \udc80",
    )


def parts(value: float = 1.0) -> dict[str, Part]:
    return {"scorer": part(value), "decision": Part("decision", {"value": 0.5})}


def part(value: float = 1.0) -> Part:
    inner = Part("leaf", {"k": 3, "none": None}, {"w": torch.full((2, 3), value), "n": torch.arange(4)})
    return Part("around", {"weights": [0.5, 1e-300]}, parts={"one": inner, "two-2": inner})


def all_same(first: dict[str, Part], second: dict[str, Part]) -> bool:
    return first.keys() == second.keys() and all(same(first[name], second[name]) for name in first)


def same(first: Part, second: Part) -> bool:
    return (
        (first.type, first.meta) == (second.type, second.meta)
        and first.tensors.keys() == second.tensors.keys()
        and all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)
        and first.parts.keys() == second.parts.keys()
        and all(same(first.parts[name], second.parts[name]) for name in first.parts)
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    model_folder.write(tmp_path / "model", contents(), parts())
    return tmp_path / "model"


def test_what_was_written_is_read(place: Path) -> None:
    record, read = model_folder.read(str(place))
    assert record.model_dump(include=set(Contents.model_fields)) == contents().model_dump()
    assert record.versions["manylabel"]
    assert all_same(read, parts())
    names = sorted(path.name for path in place.iterdir())
    assert [name.partition("-")[0] for name in names] == ["model.json", "scorer.one", "scorer.two"]
    for name in names[1:]:
        assert hashlib.sha256((place / name).read_bytes()).hexdigest() == record.sha256[name]


def test_a_model_takes_the_place_of_another_and_leaves_nothing_of_it(place: Path) -> None:
    model_folder.write(place, contents("other"), parts(2.0))
    record, read = model_folder.read(place)
    assert record.recipe["name"] == "other"
    assert all_same(read, parts(2.0))
    assert len(list(place.iterdir())) == 3


def test_the_same_model_has_the_same_bytes(place: Path, tmp_path: Path) -> None:
    model_folder.write(tmp_path / "again", contents(), parts())
    for path in place.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


CHANGES = ("replace", "unlink", "fsync", "open")


def write_killed(place: Path, at: int) -> bool:
    """Write a new model in another process, which dies at its change number ``at``; whether it did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forks of processes with threads
        process = os.fork()
    if process == 0:
        count = itertools.count(1)

        def dying(call: Callable[..., Any]) -> Callable[..., Any]:
            return lambda *given, **named: os._exit(9) if next(count) == at else call(*given, **named)

        for name in CHANGES:
            setattr(os, name, dying(getattr(os, name)))
        model_folder.write(place, contents("new"), parts(2.0))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9


@pytest.mark.parametrize("fresh", [True, False])
def test_a_kill_at_any_moment_leaves_the_old_model_or_the_new_one(fresh: bool, tmp_path: Path) -> None:
    seen, at, place = [], 1, tmp_path / "at-1"
    while fresh or model_folder.write(place, contents(), parts()) is None:
        if not write_killed(place, at):
            break
        try:
            record, read = model_folder.read(place)
            assert all_same(read, parts(2.0 if record.recipe["name"] == "new" else 1.0))
            seen.append(record.recipe["name"])
        except ManyLabelError as error:
            seen.append(error.got)
        model_folder.write(place, contents("new"), parts(2.0))  # and it can be written again
        assert all_same(model_folder.read(place)[1], parts(2.0))
        assert len(list(place.iterdir())) == 3
        at, place = at + 1, tmp_path / f"at-{at + 1}"
    earlier = {"no such folder", "no model.json in it"} if fresh else {"bce"}
    assert set(seen) - {"new"} <= earlier
    assert seen.count("new") >= 2
    assert len(seen) >= 10
    assert seen == sorted(seen, key=lambda got: got == "new")  # old up to one moment, new from there on


@pytest.mark.parametrize("file", ["model.json", "scorer.one-*", "scorer.two-*"])
def test_damage_is_refused(file: str, place: Path) -> None:
    (path,) = place.glob(file)
    whole, at, refused = path.read_bytes(), random.Random(file), 0
    for _ in range(60):
        path.write_bytes(damaged(whole, at))
        try:
            _, read = model_folder.read(place)
            assert all_same(read, parts())
        except ManyLabelError:
            refused += 1
    assert refused > 40


def test_a_truncated_or_incomplete_folder_is_refused(place: Path) -> None:
    path = next(place.glob("scorer.one-*"))
    whole = path.read_bytes()
    for length in (0, 7, 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ManyLabelError, match="a damaged file: another content than was written"):
            model_folder.read(place)
    path.unlink()
    with pytest.raises(
        ManyLabelError, match=r"no such file: the model folder is incomplete\. Take the folder"
    ):
        model_folder.read(place)


def rewritten(place: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change model.json as somebody would who knows of its digest."""
    body = json.loads((place / "model.json").read_bytes())
    body.pop("digest")
    change(body)
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    body["digest"] = hashlib.sha256(text.encode()).hexdigest()
    (place / "model.json").write_text(json.dumps(body))


def test_a_changed_number_is_refused_and_another_layout_is_not(place: Path) -> None:
    path = place / "model.json"
    body = json.loads(path.read_bytes())
    path.write_text(json.dumps(body, sort_keys=True))
    assert all_same(model_folder.read(place)[1], parts())
    body["recipe"]["rate"] = 0.2
    path.write_text(json.dumps(body))
    with pytest.raises(ManyLabelError, match="another content than was written"):
        model_folder.read(place)


def test_a_newer_folder_says_which_version_wrote_it(place: Path) -> None:
    rewritten(place, lambda body: body.update(format=2, versions={"manylabel": "9.1"}, more="things"))
    with pytest.raises(
        ManyLabelError, match=r"format 1, but got one of format 2, as version 9\.1 wrote it\. Read it"
    ):
        model_folder.read(place)


TAMPERED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a path out of the folder": lambda body: renamed(body, "../secret-0123456789abcdef.safetensors"),
    "an absolute path": lambda body: renamed(body, "/etc/passwd"),
    "another ending": lambda body: renamed(body, "scorer.one-0123456789abcdef.joblib"),
    "no digest of a file": lambda body: body["sha256"].popitem(),
    "no files": lambda body: body.update(sha256={}),
    "no parts": lambda body: body.pop("parts"),
    "a part that is a list": lambda body: body["parts"].update(scorer=[]),
    "an unknown key": lambda body: body.update(code="import os"),
    "label names that are numbers": lambda body: body.update(label_names=[1, 2]),
    "no format": lambda body: body.pop("format"),
    "a format that is text": lambda body: body.update(format="1"),
    "no versions": lambda body: body.update(versions=None),
}


def renamed(body: dict[str, Any], name: str) -> None:
    inner = body["parts"]["scorer"]["parts"]["one"]
    body["sha256"][name] = body["sha256"].pop(inner["file"])
    inner["file"] = name


@pytest.mark.parametrize("name", TAMPERED)
def test_a_record_that_somebody_changed_is_refused(name: str, place: Path) -> None:
    rewritten(place, TAMPERED[name])
    with pytest.raises(ManyLabelError, match=r"expected a part of a model as it was written"):
        model_folder.read(place)


def test_json_without_an_end_is_refused(place: Path) -> None:
    for text in ("[" * 100_000, "null", "[]", '"model"', "", '{"format": 1' + "0" * 5000 + "}"):
        (place / "model.json").write_text(text)
        with pytest.raises(ManyLabelError, match="an unreadable file"):
            model_folder.read(place)


@pytest.mark.parametrize("name", ["model.safetensors", "model.joblib"])
def test_files_of_earlier_versions_are_told(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\0" * 64)
    wanted = rf"a model folder with model\.json, but got {re.escape(name)}, as a version before model folders wrote"
    for place in (tmp_path, tmp_path / name, tmp_path / "model"):
        with pytest.raises(
            ManyLabelError, match=rf"{wanted} it\. Read it with that version, or train and save"
        ):
            model_folder.read(place)
    (tmp_path / "run.json").write_text(json.dumps({"versions": {"manylabel": "0.0.7"}}))
    with pytest.raises(ManyLabelError, match=rf"{wanted} it \(0\.0\.7\)"):
        model_folder.read(tmp_path / "model")


def test_what_is_no_model_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.json").mkdir()
    for place, got in ((tmp_path / "no", "no such folder"), (tmp_path, "cannot be read")):
        with pytest.raises(ManyLabelError, match=got):
            model_folder.read(place)


def test_a_folder_of_other_things_or_in_use_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(
        ManyLabelError, match="a new or empty folder, or one of a model, but got a folder with other"
    ):
        model_folder.write(tmp_path, contents(), parts())
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


def test_two_processes_do_not_write_one_model(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        process = os.fork()
    if process == 0:
        with Lock(tmp_path, "test"):
            (tmp_path.parent / "held").touch()
            while not (tmp_path.parent / "done").exists():
                pass
        os._exit(0)
    while not (tmp_path.parent / "held").exists():
        pass
    try:
        with pytest.raises(ManyLabelError, match="that no other process works in"):
            model_folder.write(tmp_path, contents(), parts())
    finally:
        (tmp_path.parent / "done").touch()
        os.waitpid(process, 0)


def test_a_number_that_json_does_not_have_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        model_folder.write(tmp_path, contents(), {"scorer": Part("leaf", {"rate": float("nan")})})
    assert not (tmp_path / "model.json").exists()


def test_file_names_of_models_are_known_to_one_file_alone() -> None:
    named = {
        str(path.relative_to(SOURCE))
        for path, text in ((path, path.read_text()) for path in SOURCE.rglob("*.py"))
        if re.search(
            r"model\.json|(?<!checkpoint)\.safetensors|\bimport (joblib|pickle)|\.joblib",
            path.read_text(),
        )
    }
    weights = ("models/encoders/", "models/frozen/")  # files that others wrote
    assert {name for name in named if not name.startswith(weights)} == {"methods/model_folder.py"}
