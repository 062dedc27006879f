"""Settings that are paths: found by their types, whole in any process, the same wherever the weights lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import numpy as np
import pytest
from pydantic import BaseModel

from manylabel import ManyLabelError, methods
from manylabel.data import Rows
from manylabel.labels import as_labels
from manylabel.methods import FAMILIES, Predictor
from manylabel.methods.setting_paths import PATH_SETTINGS, anywhere, by_content, path_settings, whole
from text_encoders import bert_folder, static_folder, themed_texts

SHORT = {"classify.stage.epochs": 2, "classify.stage.batch": 32}


def texts(n: int = 60, seed: int = 0) -> Rows:
    found, Y = themed_texts(n, seed)
    return Rows(found, as_labels(Y))


def _of_text(kind: Any) -> bool:
    return kind is str or (get_origin(kind) is Annotated and get_args(kind)[0] is str)


def free_texts(schema: type[BaseModel], above: str = "") -> set[str]:
    """Settings that may be any text."""
    found = set()
    for name, field in schema.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        is_table = get_origin(field.annotation) is dict
        if not is_table and any(map(_of_text, kinds)):
            found.add(above + name)
        for kind in (*kinds, *(inner for outer in kinds for inner in get_args(outer))):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= free_texts(kind, f"{above}{name}.")
    return found


def test_every_setting_of_any_text_is_a_path_or_known_to_be_none():
    schemas = [family.settings for family in FAMILIES.values()]
    paths = {name for schema in schemas for name in path_settings(schema)}
    assert paths == set(PATH_SETTINGS) == {"encoder.weights", "inputs.encoder", "inputs.weights"}
    words = {"name", "family", "about", "source", "loss", "classifier", "estimator", "expected.data"}
    words |= {f"learners.{name}" for name in ("method", "grid.setting", "rivals.method", "bound.setting")}
    others = set().union(*map(free_texts, schemas)) - paths
    assert {name for name in others if not name.endswith(".select")} == words


def test_relative_paths_become_whole_and_names_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("own", "resnet50", "deep/within", "far/own"):
        Path(name).mkdir(parents=True)
    seen = {
        "own": str(tmp_path / "own"),
        "deep/within": str(tmp_path / "deep" / "within"),
        "./missing": str(tmp_path / "missing"),
        "../x/y/z": str(tmp_path.parent / "x" / "y" / "z"),
        "~/own": str(Path("~/own").expanduser()),
        "minilm": "minilm",  # a package
        "org/missing": "org/missing",  # a name on the hub
        "resnet50": "resnet50",  # a network of pictures, whatever lies there
        "./resnet50": str(tmp_path / "resnet50"),
        "package": "package",
        "": "",
        "a\0b": "a\0b",
    }
    for text, wanted in seen.items():
        for name in PATH_SETTINGS:
            section, last = name.split(".")
            assert whole({name: text, "classify.lr": text}) == {name: wanted, "classify.lr": text}
            nested = {"learners": {"network": {"settings": {f"text.{name}": text}}}, section: {last: text}}
            found = whole(nested)
            assert found["learners"]["network"]["settings"][f"text.{name}"] == found[section][last] == wanted
    assert whole({"inputs.encoder": "own"}, "far") == {"inputs.encoder": str(tmp_path / "far" / "own")}
    assert whole(whole({"inputs.encoder": "own"}), "far") == {"inputs.encoder": str(tmp_path / "own")}


def test_paths_in_a_recipe_file_are_seen_from_its_folder(tmp_path, monkeypatch):
    (tmp_path / "recipes" / "base").mkdir(parents=True)
    static_folder(tmp_path / "recipes" / "table")
    (tmp_path / "recipes" / "base" / "plain.toml").write_text(
        'like = "logistic_regression"\n[inputs]\nencoder = "../table"\n'
    )
    (tmp_path / "recipes" / "mine.toml").write_text('like = "base/plain.toml"\n')
    monkeypatch.chdir(tmp_path)
    found = methods.get("recipes/mine.toml").recipe.resolve("text")
    monkeypatch.chdir(tmp_path / "recipes" / "base")
    assert methods.get("../mine.toml").recipe.resolve("text") == found
    assert found.inputs.encoder == str(tmp_path / "recipes" / "table")
    model = methods.get("../mine.toml").fit(texts(), texts(30, 1))
    assert model.encoder is not None
    (tmp_path / "recipes" / "mine.toml").write_text('like = "base/none.toml"\n')
    with pytest.raises(ManyLabelError, match=r"none\.toml: expected a recipe in TOML"):
        methods.get("../mine.toml")


def test_a_learner_of_a_stack_brings_its_own_recipe_file_and_weights(tmp_path, monkeypatch):
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "linear.toml").write_text('like = "logistic_regression"\n')
    (tmp_path / "recipes" / "stack.toml").write_text(
        'like = "best"\n[learners.mine]\nmethod = "linear.toml"\n[learners.net]\nmethod = "text_bce"\n'
        '[learners.net.settings.encoder]\nweights = "../bert"\n'
    )
    monkeypatch.chdir(tmp_path)
    learners = methods.get("recipes/stack.toml").recipe.resolve("text").learners  # type: ignore[attr-defined]
    assert learners["mine"].method == str(tmp_path / "recipes" / "linear.toml")
    assert learners["net"].settings == {"encoder": {"weights": str(tmp_path / "bert")}}


def test_a_saved_model_tells_no_folder_that_it_does_not_need(tmp_path, monkeypatch):
    bert_folder(tmp_path / "bert")
    monkeypatch.chdir(tmp_path)
    first = methods.get("text_bce", **{"encoder.weights": "./bert", **SHORT}).fit(texts(), texts(30, 1))
    first.save("first")
    go_on = methods.start_from("first", "bce") | SHORT
    second = methods.get("bce", **go_on).fit(texts(), texts(30, 1))
    second.save("second")
    for name, model in (("first", first), ("second", second)):
        told = Path(name, "model.json").read_text()
        assert str(tmp_path) not in told
        assert json.loads(told)["recipe"]["encoder"]["weights"].startswith(".../")
        again = Predictor.load(name)
        assert np.array_equal(again.scores(texts(9, 3).X), model.scores(texts(9, 3).X))
        again.save("again")
        assert Path("again", "model.json").read_text() == told


def test_a_frozen_encoder_is_found_from_another_folder(tmp_path, monkeypatch):
    bert_folder(tmp_path / "bert")  # its network stays outside the model, unlike a small table
    monkeypatch.chdir(tmp_path)
    model = methods.get("logistic_regression", encoder="bert").fit(texts(), texts(30, 1))
    model.save("model")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    again = Predictor.load("../model")
    assert np.array_equal(again.scores(texts(9, 3).X), model.scores(texts(9, 3).X))


def test_a_training_goes_on_with_the_same_weights_elsewhere_and_not_with_others(tmp_path, monkeypatch):
    bert_folder(tmp_path / "bert")

    def fitted(weights: str) -> Any:
        settings = {"encoder.weights": weights, **SHORT}
        return methods.get("text_bce", **settings).fit(texts(), texts(30, 1), folder=tmp_path / "run")

    monkeypatch.chdir(tmp_path)
    first = fitted("bert")
    history = (tmp_path / "run" / "history.jsonl").read_text()  # with the seconds that each epoch took
    (tmp_path / "far").mkdir()
    (tmp_path / "bert").rename(tmp_path / "far" / "bert")
    monkeypatch.chdir(tmp_path / "far")
    assert np.array_equal(fitted("./bert").scores(texts(9, 3).X), first.scores(texts(9, 3).X))
    assert (tmp_path / "run" / "history.jsonl").read_text() == history
    bert_folder(tmp_path / "far" / "bert", seed=1)
    with pytest.raises(ManyLabelError, match="checkpoint"):
        fitted("bert")


def test_weights_are_told_by_what_they_are(tmp_path):
    one, two = static_folder(tmp_path / "a" / "table"), static_folder(tmp_path / "b" / "table")
    other = static_folder(tmp_path / "c" / "table", seed=1)
    told = [by_content({"inputs": {"encoder": str(place)}}) for place in (one, two, other)]
    assert told[0] == told[1] != told[2]
    assert anywhere({"inputs.encoder": str(one)}) == {"inputs.encoder": ".../table"}
    assert by_content({"inputs.encoder": "minilm"}) == {"inputs.encoder": "minilm"}
    weights = one / "model.safetensors"
    before = by_content({"inputs.weights": str(weights)})
    weights.write_bytes(weights.read_bytes() + b" ")
    assert by_content({"inputs.weights": str(weights)}) != before
