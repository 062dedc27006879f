"""Command lines that cannot be carried out: exit code 2, one line that says who expected what, nothing written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.journeys.conftest import Shell

BAD = {
    "no file": ("fit no.csv --labels tags", "no.csv: expected an existing file, but got nothing there"),
    "no labels": ("fit places.csv", "--labels: expected the label columns of places.csv, but got none"),
    "misspelt labels": ("fit places.csv --labels tagz", "but got 'tagz'. Did you mean 'tags'?"),
    "no such pattern": ("fit places.csv --labels is_*", "No column fits: give the column of the tags"),
    "a label column that is none": ("fit places.csv --labels price,rooms", "expected 0 or 1, true or false"),
    "unknown role": ("fit places.csv --labels tags --column price=nummer", "Did you mean 'number'?"),
    "unknown column": ("fit places.csv --labels tags --column prize=number", "expected one of the columns"),
    "no role": ("fit places.csv --labels tags --column price", "--column: expected NAME=ROLE"),
    "unknown text": ("fit places.csv --labels tags --text story", "expected one of the columns"),
    "unknown groups": ("fit places.csv --labels tags --groups owner", "expected one of the columns"),
    "unknown method": ("fit places.csv --labels tags --method bcee", "error: --method: expected one of"),
    "unknown method of several": ("run digits -m bce,bcee --out runs", "error: --methods: expected one of"),
    "unknown recipe": ("methods describe bcee", "error: NAME: expected one of"),
    "no such class": (
        "fit places.csv --labels tags --method sklearn.svm.Linear",
        "error: --method, sklearn.svm.Linear: expected a class in sklearn.svm",
    ),
    "unknown setting": ("fit places.csv --labels tags --method bce --set classify.stage.epoch=3", "epochs"),
    "setting without value": ("fit places.csv --labels tags --set epochs", "--set: expected NAME=VALUE"),
    "unknown rule": ("fit places.csv --labels tags --thresholds best", "--thresholds: expected one of tuned"),
    "impossible threshold": (
        "fit places.csv --labels tags --thresholds 1.5",
        "a number from 0 to 1, but got 1.5",
    ),
    "impossible share": ("fit places.csv --labels tags --validation 2.0", "--validation: expected"),
    "no validation file": (
        "fit places.csv --labels tags --validation held.csv",
        "an existing file, or a share",
    ),
    "a folder of something else": (
        "fit places.csv --labels tags --out home",
        "expected a new or empty folder",
    ),
    "a model that is there": (
        "fit no.csv --labels tags --out model",
        "--out: expected a folder without a model, but got model, which holds one. Name another folder, or replace "
        "it with --overwrite.",
    ),
    "roles without labels": (
        "fit rows.npz --column a=text",
        "--labels: expected the label columns, beside --column",
    ),
    "wrong delimiter": ("fit places.csv --labels tags --delimiter ;;", "one character"),
    "no model": ("predict nowhere test.csv", "nowhere: expected a model folder, but got no such folder"),
    "a table in place of a model": ("predict test.csv test.csv", "expected a model folder"),
    "unknown ending": ("predict model test.csv --out out.xls", "--out: expected a file that ends in .csv"),
    "no rows to predict": ("predict model no.csv", "no.csv: expected an existing file"),
    "a report among other files": ("evaluate model test.csv --out home", "expected a new or empty folder"),
    "absent column": ("predict model few.csv", "few.csv: expected a column 'name', but got the columns"),
    "unknown id": (
        "predict model test.csv --id nam",
        "--id: expected one of its columns, but got 'nam'. Did you mean",
    ),
    "too many": (
        "predict model test.csv --top 7",
        "--top: expected a number of labels from 1 to 6, but got 7",
    ),
    "a separator within names": (
        "predict model test.csv --separator e",
        "--separator: expected a text that no label",
    ),
    "text among numbers": ("predict model words.csv", "words.csv, line 3, column 'price'"),
    "unlabelled rows": ("evaluate model new.csv", "expected label columns, but got none"),
    "no rows to evaluate": ("evaluate model empty.csv", "empty.csv: expected rows with labels, but got none"),
    "no training file": ("evaluate model test.csv --train no.csv", "no.csv: expected an existing file"),
    "unknown array": ("embed model test.csv --out z.txt", "--out: expected a file that ends in .npy"),
    "names in an array": (
        "embed model test.csv --id name",
        "--out: expected a file that can hold the names of rows",
    ),
    "arrays for a table's model": ("embed model rows.npz", "rows.npz: expected a file that ends in .csv"),
    "an audit of nothing": (
        "audit places.csv",
        "--labels: expected the label columns of places.csv, but got none",
    ),
    "an audit elsewhere": (
        "audit places.csv --labels tags --out a.txt",
        "a file that ends in .csv or .html",
    ),
    "predictions over the rows": (
        "predict model test.csv --out ./test.csv",
        "--out: expected another file than that of the rows, but got test.csv",
    ),
    "embeddings over the rows": (
        "embed model rows.npz --out rows.npz",
        "--out: expected another file than that of the rows",
    ),
    "an example over a file": (
        "data example few.csv",
        "few.csv: expected a free place, or an earlier example",
    ),
    "no model to probe": (
        "probe nowhere places.csv --labels tags --out other",
        "nowhere: expected a model folder, but got no such folder",
    ),
    "a folder of letters to fine-tune": (
        "finetune home places.csv --labels tags --out other",
        "home: expected a model folder, but got no model.json in it",
    ),
    "a model that lacks a file": (
        "probe torn places.csv --labels tags --out other",
        "no such file: the model folder is incomplete",
    ),
    "an encoder of other rows": (
        "probe model six.npz --out other",
        "/model: expected a model of vectors, like the rows, but got one of table",
    ),
    "weights of another network": (
        "fit six.npz --method bce --set encoder.weights=model --out other",
        "encoder.weights: expected a network of pictures, or encoder.name model beside it, but got mlp",
    ),
    "a rate below 0": (
        "finetune model places.csv --labels tags --rate -1 --out other",
        "classify.encoder_rate: expected greater than or equal to 0, but got -1.0",
    ),
    "two rates": (
        "finetune model places.csv --labels tags --rate 0.1 --set classify.encoder_rate=0.7 --out other",
        "--set: expected no rate of the encoder, which the command sets, but got classify.encoder_rate",
    ),
    "a rate of a probe": (
        "probe model places.csv --labels tags --method bce --set table.classify.encoder_rate=1 --out other",
        "but got table.classify.encoder_rate. finetune trains the encoder on.",
    ),
    "a rate of a pretraining": (
        "pretrain places.csv --labels tags --set classify.encoder_rate=1 --out other",
        "but got classify.encoder_rate. finetune trains an encoder on.",
    ),
    "an encoder beside a model": (
        "finetune model places.csv --labels tags --set encoder.weights=torn --out other",
        "--set: expected none of the encoder, which is that of the model, but got encoder.weights",
    ),
    "an encoder beside a start": (
        "run six.npz --methods bce --set encoder.widths=[8] --start runs/one/bce --out other",
        "--set: expected none of the encoder beside --start, but got encoder.widths",
    ),
    "nothing to pretrain": (
        "pretrain places.csv --labels tags --method bce --out other",
        "--method: expected a method with a contrastive stage of its own, but got bce",
    ),
    "a transfer to nowhere": (
        "transfer digits",
        "SOURCE TARGET: expected pairs of SOURCE and TARGET, but got 1 data set",
    ),
    "a transfer to itself": ("transfer six.npz six.npz", "expected two data sets of different names"),
    "a transfer between kinds": (
        "transfer digits six.npz",
        "SOURCE TARGET: expected two sets of images, but got six.npz, one of vectors",
    ),
    "an unknown way": ("transfer digits six.npz --ways probing", "--ways: expected probe or finetune"),
    "too few rows": ("data example more.csv --rows 0", "expected a number from 1 to 1000000, but got 0"),
}


@pytest.fixture
def here(places: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, the files it was made of, and spoilt ones."""
    shutil.copytree(places, tmp_path, dirs_exist_ok=True)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    lines = (tmp_path / "test.csv").read_text().splitlines()
    (tmp_path / "few.csv").write_text("region,price\nhills,80\nlakes,90\n")
    (tmp_path / "words.csv").write_text("\n".join([*lines[:2], "A,b,hills,cheap,3,1990,quiet"]) + "\n")
    (tmp_path / "unsure.csv").write_text("\n".join([*lines, *["A,b,hills,80,3,1990,NA"] * 9]) + "\n")
    (tmp_path / "rows.npz").write_bytes(b"no arrays")
    x = np.random.default_rng(0).normal(size=(40, 6))
    np.savez(tmp_path / "six.npz", X_train=x, y_train=x > 0, X_test=x, y_test=x > 0)
    shutil.copytree(model, tmp_path / "torn")
    next((tmp_path / "torn").glob("*.safetensors")).unlink()
    cells = [line.rsplit(",", 1)[0] for line in lines]
    (tmp_path / "empty.csv").write_text((places / "test.csv").read_text("utf-8").splitlines()[0] + "\n")
    (tmp_path / "new.csv").write_text("\n".join(cells) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_with_what_to_do(shell: Shell, here: Path, name: str) -> None:
    line, message = BAD[name]
    if line.startswith("fit ") and "--out" not in line:
        line += " --out other"  # in ``model`` is one
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    code, _, errors = shell(*line.split())
    assert (code, errors.startswith("error: ")) == (2, True), errors
    assert message in errors
    assert "Traceback" not in errors
    assert "`" not in errors.replace("`save`", "")
    after = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert after == before
    assert not [name for name in os.listdir(here) if name.endswith(".training")]


def test_a_fit_that_is_refused_within_a_fold_leaves_no_folder(shell: Shell, here: Path) -> None:
    before = sorted(here.rglob("*"))
    code, _, errors = shell(
        "fit", "unsure.csv", "--labels", "tags", "--method", "k_neighbours", "--out", "knn"
    )
    assert code == 2
    assert "method k_neighbours: expected labels that are all known, but got" in errors
    assert sorted(here.rglob("*")) == before
