"""Stages one by one: an encoder is pretrained, probed and fine-tuned on other labels, and taken to other data."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.journeys.conftest import Shell

from manylabel.methods import Predictor, model_folder
from manylabel.models import picture_encoder
from manylabel.study import StudyFolder
from text_encoders import themed_texts

NAMES = ("cat", "dog", "sea", "sun")
SHORT = ("--set", "classify.stage.epochs=2", "--set", "classify.stage.batch=16")
SMALL = ("--set", "pretrain.stage.epochs=2", "--set", "encoder.widths=[12]", *SHORT)


def write_table(path: Path, labels: slice, seed: int) -> Path:
    """Texts with tags, some of the four words that they hold."""
    texts, Y = themed_texts(90, seed)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["plot", "tags"])
        for text, row in zip(texts, Y, strict=True):
            writer.writerow(
                [text, "|".join(n for n, carried in zip(NAMES[labels], row[labels], strict=True) if carried)]
            )
    return path


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Of texts with two of the words as tags, and of other texts with the two others."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MANYLABEL_CACHE", str(tmp_path / "cache"))
    return write_table(tmp_path / "one.csv", slice(0, 2), 0), write_table(
        tmp_path / "two.csv", slice(2, 4), 1
    )


def weights(folder: str) -> torch.Tensor:
    scorer = Predictor.load(folder).scorer
    return torch.cat([p.flatten() for p in scorer.encoder.parameters()])  # type: ignore[attr-defined]


def test_an_encoder_is_pretrained_probed_fine_tuned_and_used(tables: tuple[Path, Path], shell: Shell) -> None:
    words = ("--labels", "tags", "--text", "plot")
    code, output, errors = shell("pretrain", tables[0], *words, *SMALL, "--out", "encoder")
    assert code == 0, errors
    assert "on held-out rows" in output
    code, output, errors = shell("probe", "encoder", tables[1], *words, "--out", "probed")
    assert code == 0, errors
    words_bce = (*words, *SHORT, "--method", "bce", "--out", "layer")
    assert shell("probe", "encoder", tables[1], *words_bce)[0] == 0
    code, output, errors = shell("finetune", "encoder", tables[1], *words, *SHORT, "--out", "tuned")
    assert code == 0, errors
    assert torch.equal(weights("layer"), weights("encoder"))
    assert model_folder.read("probed")[0].recipe["name"] == "logistic_regression_cv"
    assert not torch.equal(weights("tuned"), weights("encoder"))
    told = model_folder.read("tuned")[0]
    assert told.recipe["classify"]["encoder_rate"] == 0.1
    assert set(told.label_names) == {"sea", "sun"}
    code, output, errors = shell("predict", "tuned", tables[1], "--out", "p.csv", "--probabilities")
    assert code == 0, errors
    for folder in ("encoder", "probed", "layer"):
        assert shell("embed", folder, tables[1], "--out", f"{folder}.npy")[0] == 0
    assert np.load("encoder.npy").shape == (90, 12)
    assert np.array_equal(np.load("encoder.npy"), np.load("layer.npy"))
    Z, scaled = np.load("encoder.npy"), np.load("probed.npy")  # a linear model takes them to unit variance
    varying = Z.std(axis=0) > 1e-6
    assert varying.sum() > 4
    assert min(np.corrcoef(Z[:, c], scaled[:, c])[0, 1] for c in np.flatnonzero(varying)) > 0.9999


def test_pictures_go_from_one_data_set_to_another(tmp_path: Path, shell: Shell, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, shape, seed in (("grey", (12, 12), 0), ("large", (16, 20, 3), 1)):
        rng = np.random.default_rng(seed)
        level = rng.random(100)
        grown = level.reshape(-1, *(1 for _ in shape))
        X = (255 * (0.7 * grown + 0.3 * rng.random((100, *shape)))).astype(np.uint8)
        Y = np.column_stack([level > 0.5, level > 0.8, level < 0.3])
        np.savez(f"{name}.npz", X_train=X[:70], y_train=Y[:70], X_test=X[70:], y_test=Y[70:])
    short = ("--set", "encoder.widths=[8,16]", "--set", "mulsupcon.pretrain.stage.epochs=1", *SHORT)
    short += ("--set", "mulsupcon.pretrain.stage.batch=16")
    words = ("transfer", "./grey.npz", "./large.npz", "--back", "--ways", "probe", "--seeds", "1", *short)
    code, _, errors = shell(*words, "--jobs", "1", "--out", "runs")
    assert code == 0, errors
    page = Path("runs/README.md").read_text("utf-8")
    assert "| grey | large | mulsupcon | probe |" in page
    assert "| large | grey | bce | probe |" in page
    assert "| - | large | none, from scratch | - |" in page
    again = "manylabel transfer ./grey.npz ./large.npz ./large.npz ./grey.npz --seeds 1 --set 'bce.encoder.widths="
    assert again in page
    told = model_folder.read("runs/large-from-grey-bce/logistic_regression_cv/seed-0/model")[0]
    assert told.input.form == "shape (3, 16, 20)"


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of noise with tags, in ``album`` of the working folder, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MANYLABEL_CACHE", str(tmp_path / "cache"))
    folder = Path("album")
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ["file,tags"]
    for i in range(48):
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{('sea|sky', 'tree', 'sky')[i % 3]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


def test_rows_for_the_encoder_of_a_model_are_like_its_training_rows(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    X = np.random.default_rng(0).random((60, 4)).round(3) + 0.1

    def arrays(name: str, *columns: str) -> None:
        order = ["abcd".index(column) for column in columns]
        np.savez(name, X=X[:, order], y=X[:, :2] > 0.6, feature_names=columns)

    arrays("rows.npz", *"abcd")
    arrays("other.npz", *"bacd")
    short = (*SHORT, "--set", "encoder.widths=[12]", "--validation", "0.2")
    assert shell("fit", "rows.npz", "--method", "bce", *short, "--out", "model")[0] == 0
    start = ("--method", "bce", "--set", "encoder.name=model", "--set", "encoder.weights=model")
    for command in (("probe", "model"), ("finetune", "model"), ("fit", *start)):
        code, _, errors = shell(*command, "other.npz", *SHORT, "--validation", "0.2", "--out", "next")
        assert code == 2
        assert "'b' as feature 1, which is 'a' in the model" in " ".join(errors.split())
    words = ("--methods", "bce", "--seeds", "1", "--jobs", "1", *SHORT, *start[2:])
    code, _, errors = shell("run", "./other.npz", *words, "--out", "runs")
    assert code == 2
    assert "'b' as feature 1, which is 'a' in the model" in " ".join(errors.split())
    assert shell("run", "./rows.npz", *words, "--out", "runs")[0] == 0
    assert shell("finetune", "model", "rows.npz", *SHORT, "--validation", "0.2", "--out", "next")[0] == 0
    # neither the first nor the last
    lines = [f"{int(row[0] > 0.6)} 1:{row[1]} 3:{row[3]}" for row in X.tolist()]
    Path("few.svm").write_text("\n".join(lines))
    first = ("--read", "first=0", "--validation", "0.2", "--out", "sparse")
    assert shell("finetune", "model", "few.svm", *SHORT, *first)[0] == 0
    assert Predictor.load("sparse").schema.reading == {"first": 0}


@pytest.mark.usefixtures("album")
def test_a_model_reads_pictures_as_it_is_asked_to(shell: Shell) -> None:
    asked = ("--read", "side=16", "--read", "fit=short")
    few = ("--method", "logistic_regression", "--validation", "0.3", "--out", "model")
    code, output, errors = shell("fit", "album/", *asked, *few)
    assert code == 0, errors
    assert "predict model NEW_PICTURES/ --out predictions.csv" in output
    assert "resized to 16 x 16, cut to the middle square" in output
    assert model_folder.read("model")[0].input.form == "shape (3, 16, 16)"
    assert shell("evaluate", "model", "album/", *asked, "--out", "report")[0] == 0
    page = Path("report/report.html").read_text("utf-8")
    assert "manylabel evaluate model album/ --read side=16 --read fit=short --out report" in page
    assert shell("predict", "model", "album/", *asked, "--probabilities", "--out", "p.csv")[0] == 0
    assert shell("embed", "model", "album/", *asked, "--out", "z.npy")[0] == 0
    code, _, errors = shell("embed", "model", "album/", "--text", "tags", "--out", "z.npy")
    assert code == 2
    assert "embed: expected no settings of an encoder beside a model, but got --text" in errors
    assert np.load("z.npy").shape[0] == 48
    assert shell("predict", "model", "album/", "--probabilities", "--out", "q.csv")[0] == 0
    assert Path("q.csv").read_text() == Path("p.csv").read_text()  # size and cut are those of the model
    square = ("--read", "fit=square", "--probabilities", "--out", "q.csv")
    assert shell("predict", "model", "album/", *square)[0] == 0
    assert Path("q.csv").read_text() != Path("p.csv").read_text()
    code, _, errors = shell("predict", "model", "album/", "--read", "side=32", "--out", "q.csv")
    assert code == 2
    assert "expected rows of shape (3, 16, 16), but got shape (3, 32, 32)" in errors
    assert "Read pictures as those of the training were, such as with --read: side=16." in errors
    of_model = ("predict", "model", "album/"), ("evaluate", "model", "album/"), ("embed", "model", "album/")
    for command in (("fit", "album/", *few[:-1], "other"), ("audit", "album/"), *of_model):
        code, _, errors = shell(*command, "--read", "sides=16")
        assert code == 2
        assert "--read: expected a setting such as" in errors
        assert "Did you mean 'side'?" in errors
    Path("table.csv").write_text("a,tags\n" + "1,sea\n2,sky\n" * 20)
    code, _, errors = shell("fit", "table.csv", "--labels", "tags", *asked, "--out", "other")
    assert code == 2
    assert "table.csv: expected no settings of the reader, but got 'side', 'fit'" in errors


@pytest.mark.usefixtures("album")
def test_pictures_of_a_validation_folder_are_read_as_those_of_the_training(shell: Shell) -> None:
    shutil.copytree("album", "held")
    Path("album/card.json").write_text('{"read": {"side": 16, "fit": "short"}}')
    fit = ("fit", "album/", "--method", "logistic_regression", "--validation", "held/", "--out", "model")
    code, output, errors = shell(*fit)
    assert code == 0, errors
    assert "on held-out rows" in output
    assert model_folder.read("model")[0].input.reading == {"fit": "short"}
    Path("held/card.json").write_text('{"read": {"side": 32, "fit": "square"}}')
    assert shell(*fit, "--overwrite")[1].splitlines()[3:] == output.splitlines()[3:]


@pytest.mark.usefixtures("album")
def test_pictures_without_a_list_are_predicted_and_embedded_by_name(shell: Shell) -> None:
    few = ("--method", "logistic_regression", "--validation", "0.3", "--out", "model")
    assert shell("fit", "album/", "--read", "side=16", *few)[0] == 0
    assert shell("predict", "model", "album/", "--read", "side=16", "--out", "listed.csv")[0] == 0
    Path("album/labels.csv").unlink()
    code, output, errors = shell("predict", "model", "album/", "--read", "side=16", "--out", "new.csv")
    assert code == 0, errors
    assert "48 rows" in output
    listed, new = (sorted(Path(name).read_text().splitlines()) for name in ("listed.csv", "new.csv"))
    assert listed == new
    assert "47.png," in "\n".join(new)
    code, _, errors = shell("evaluate", "model", "album/", "--read", "side=16")
    assert code == 2
    assert "album: expected files of one format" in errors
    asked = ("--encoder", "resnet18", "--set", "weights=none.safetensors", "--id", "file", "--out", "z.npz")
    code, _, errors = shell("embed", "album/", *asked)
    assert code == 2
    assert "none.safetensors" in errors
    save_file(picture_encoder("resnet18").state_dict(), "none.safetensors")
    code, output, errors = shell("embed", "album/", *asked)
    assert code == 0, errors
    with np.load("z.npz") as written:
        assert written["embeddings"].shape == (48, 512)
        assert sorted(written["identifiers"]) == sorted(f"{i}.png" for i in range(48))


@pytest.mark.usefixtures("album")
def test_a_run_reads_pictures_as_it_is_asked_to_and_so_do_its_examples(shell: Shell) -> None:
    words = ("--methods", "logistic_regression", "--seeds", "1", "--jobs", "1", "--out", "runs")
    code, _, errors = shell("run", "album/", "--read", "side=16", "--read", "fit=short", *words)
    assert code == 0, errors
    record = StudyFolder(Path("runs")).record()
    assert "16 x 16 pixels" in record.card.features
    assert record.asked["read"] == {"side": 16, "fit": "short"}
    code, output, errors = shell("report", "runs", "--examples")
    assert code == 0, errors
    assert "examples: runs/examples.html" in output
    assert Path("runs/examples.html").read_text("utf-8").count("data:image/png") > 40
    code, _, errors = shell("run", "album/", "--read", "sides=16", *words[:-1], "elsewhere")
    assert code == 2
    assert "Did you mean 'side'?" in errors
