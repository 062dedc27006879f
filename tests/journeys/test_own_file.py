"""A person with a file: fit, evaluate, predict, embed, each with the command line that the one before prints."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pandas
import pyarrow.parquet as pq
import pytest
from tests.journeys.conftest import Shell, quick

from manylabel import methods
from manylabel.data import load
from manylabel.data.example import TAGS, write_example
from manylabel.estimator import MultiLabelClassifier
from manylabel.metrics import measure_decisions


def lines_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_from_a_file_to_predictions_by_the_commands_as_they_are_printed(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, output, _ = shell("data", "example", "places.csv", "--rows", "120")
    words = shlex.split(output.splitlines()[-1])[1:]
    assert words == ["fit", "places.csv", "--labels", "tags"]
    code, output, progress = shell(*words, *quick())
    assert (code, "training: " in progress) == (0, True)
    assert "places.csv: 120 rows, 6 labels" in output
    assert "numbers     price, rooms, opened" in output
    assert "held-out rows (cross-fitting over 5 folds)" in output
    assert all(name in output for name in ("mAP", "macro-F1", "micro-F1"))
    assert sorted(os.listdir()) == ["model", "places.csv"]  # the training is cleared away

    words = shlex.split(output.splitlines()[-1])[1:]
    assert words == ["predict", "model", "NEW.csv", "--out", "predictions.csv"]
    shell("data", "example", "NEW.csv", "--rows", "9", "--seed", "4", "--without-labels")
    code, output, _ = shell(*words)
    assert (code, output.splitlines()[-2]) == (0, "predictions: predictions.csv")
    assert output.splitlines()[-1].startswith("9 rows, ")
    assert {tag for line in lines_of(Path("predictions.csv")) for tag in line["labels"].split("|")} <= {
        *TAGS,
        "",
    }


def test_predictions_are_those_of_the_estimator_in_every_form(
    shell: Shell, places: Path, model: Path, tmp_path: Path
) -> None:
    loaded = MultiLabelClassifier.load(model)
    rows = loaded.schema_.apply(places / "test.csv")
    wanted = [{*loaded.classes_[row]} for row in loaded.predict(rows)]
    for ending in ("csv", "jsonl", "parquet"):
        out = tmp_path / f"out.{ending}"
        code, _, errors = shell(
            "predict", model, places / "test.csv", "--out", out, "--id", "name", "--top", "2"
        )
        assert (code, errors) == (0, "")
    lines = lines_of(tmp_path / "out.csv")
    assert [line["name"] for line in lines] == [line["name"] for line in lines_of(places / "test.csv")]
    assert [{*line["labels"].split("|")} - {""} for line in lines] == wanted
    told = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert [{*line["labels"]} for line in told] == wanted
    assert [{*row} for row in pq.read_table(tmp_path / "out.parquet")["labels"].to_pylist()] == wanted
    assert all(len(line["top"]) == 2 for line in told)


def test_columns_may_come_in_any_order_with_others_between(
    shell: Shell, places: Path, model: Path, tmp_path: Path
) -> None:
    lines = lines_of(places / "test.csv")
    with open(tmp_path / "moved.tsv", "w", newline="", encoding="latin-1") as file:
        columns = ["opened", "extra", *(name for name in lines[0] if name != "opened")]
        writer = csv.DictWriter(file, columns, delimiter="\t")
        writer.writeheader()
        writer.writerows(line | {"extra": "é", "tags": "not looked at"} for line in lines)
    for name, file in (("a", places / "test.csv"), ("b", tmp_path / "moved.tsv")):
        assert shell("predict", model, file, "--out", tmp_path / f"{name}.csv", "--probabilities")[0] == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_a_model_moves_to_another_folder(shell: Shell, places: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for path in model.iterdir():
        (tmp_path / "elsewhere" / path.name).write_bytes(path.read_bytes())
    for folder in (model, tmp_path / "elsewhere"):
        shell("predict", folder, places / "test.csv", "--out", tmp_path / f"{folder.name}.csv")
    assert (tmp_path / "model.csv").read_bytes() == (tmp_path / "elsewhere.csv").read_bytes()


def test_an_evaluation_writes_a_page_and_the_numbers_of_the_estimator(
    shell: Shell, places: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    code, output, _ = shell(
        "evaluate", model, places / "test.csv", "--train", places / "places.csv", "--out", out
    )
    assert (code, output.splitlines()[-1]) == (0, f"report: {out / 'report.html'}")
    loaded = MultiLabelClassifier.load(model)
    rows = loaded.schema_.apply(places / "test.csv")
    wanted = measure_decisions(loaded.predictor_.scores(rows.X), loaded.predict(rows), rows.Y)
    told = json.loads((out / "metrics.json").read_text("utf-8"))
    assert told["values"] == pytest.approx(wanted.values)
    assert told["protocol"].startswith("tuned")
    assert [part["name"] for part in told["slices"][:3]] == [
        "rare labels",
        "medium labels",
        "frequent labels",
    ]
    page = (out / "report.html").read_text("utf-8")
    assert all(tag in page for tag in TAGS)
    assert page.count("<img ") == 3
    assert "manylabel evaluate" in page
    mistakes = page.partition("Surest mistakes")[2]
    assert mistakes.count("<li>") == 12
    assert mistakes.count("name: ") == 12
    names = [line["name"] for line in lines_of(places / "test.csv")]
    shown = re.findall(r"name: ([^;]+);.*?row (\d+)<", mistakes, re.DOTALL)
    assert len(shown) == 12
    assert [name for name, _ in shown] == [names[int(number) - 1] for _, number in shown]  # as predict counts
    assert f"<h1>{model.name} on test.csv</h1>" in page  # without the folders that they lie in
    assert "http" not in page.replace("http-equiv", "")
    labels = lines_of(out / "labels.csv")
    assert {line["label"]: int(line["rows"]) for line in labels} == dict(
        zip(loaded.classes_, rows.Y.label_counts().int().tolist(), strict=True)
    )
    assert [part["name"] for part in told["slices"][3:]] == ["seen label sets", "unseen label sets"]
    code, _, _ = shell("evaluate", model, places / "test.csv", "--out", out)
    again = json.loads((out / "metrics.json").read_text("utf-8"))
    assert again["slices"] == told["slices"]  # the model knows the labels of its training rows


def test_embeddings_are_those_of_the_estimator(
    shell: Shell, places: Path, model: Path, tmp_path: Path
) -> None:
    code, output, _ = shell("embed", model, places / "test.csv", "--out", tmp_path / "z.npy")
    found = np.load(tmp_path / "z.npy", mmap_mode="r")
    loaded = MultiLabelClassifier.load(model)
    assert np.allclose(found, loaded.transform(loaded.schema_.apply(places / "test.csv")), atol=1e-5)
    assert (code, output.splitlines()[-1]) == (0, f"60 rows of {found.shape[1]} numbers")


def test_files_of_other_formats_take_the_same_commands(shell: Shell, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 5)).astype(np.float32)
    y = (X[:, :3] + 0.3 * rng.normal(size=(120, 3)) > 0.2).astype(np.uint8)
    np.savez(tmp_path / "rows.npz", X=X, y=y, label_names=np.array(["sea", "wind", "rock"]))
    code, output, _ = shell(
        "fit", tmp_path / "rows.npz", "--out", tmp_path / "model", "--method", "bce", *quick()[2:4]
    )
    assert code == 0
    assert "note: All rows are taken." in output
    code, output, _ = shell(
        "predict", tmp_path / "model", tmp_path / "rows.npz", "--out", tmp_path / "p.jsonl"
    )
    assert (code, "120 rows" in output) == (0, True)
    assert shell("evaluate", tmp_path / "model", tmp_path / "rows.npz", "--out", tmp_path / "report")[0] == 0
    assert {*json.loads((tmp_path / "report" / "metrics.json").read_text())["labels"]} == {
        "sea",
        "wind",
        "rock",
    }
    assert "frequent labels" in (tmp_path / "report" / "report.html").read_text("utf-8")
    rows = load(tmp_path / "rows.npz").train
    methods.get("logistic_regression").fit(rows, rows, label_names=("sea", "wind", "rock")).save(
        tmp_path / "s"
    )
    assert shell("evaluate", tmp_path / "s", tmp_path / "rows.npz", "--out", tmp_path / "report")[0] == 0
    for folder, said in ((tmp_path / "model", False), (tmp_path / "s", True)):
        _, output, _ = shell("embed", folder, tmp_path / "rows.npz", "--out", tmp_path / "z.npy")
        assert ("the features as it sees them" in output) == said
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "the model of a study keeps nothing of the labels of its training rows" in page


def test_columns_of_arff_in_another_order_are_told(shell: Shell, tmp_path: Path) -> None:
    def write(name: str, columns: list[int], n: int) -> Path:
        X = np.random.default_rng(0).normal(size=(n, 3)).round(3)
        head = [f"@attribute {('length', 'weight', 'age')[j]} numeric" for j in columns]
        rows = [",".join(map(str, [*row[columns].tolist(), int(row[0] > 0), int(row[1] > 0)])) for row in X]
        labels = [f"@attribute {label} {{0,1}}" for label in ("sea", "sky")]
        (tmp_path / name).write_text(
            "\n".join(["@relation 'rows: -C -2'", *head, *labels, "@data", *rows]) + "\n"
        )
        return tmp_path / name

    rows = write("rows.arff", [0, 1, 2], 120)
    of_fit, study, out = tmp_path / "model", tmp_path / "study", tmp_path / "p.csv"
    assert shell("fit", rows, "--method", "logistic_regression", "--out", of_fit)[0] == 0
    assert (
        shell("run", rows, "-m", "logistic_regression", "--seeds", "1", "--jobs", "1", "--out", study)[0] == 0
    )
    of_run = study / "logistic_regression" / "seed-0" / "model"
    for folder in (of_fit, of_run):
        assert shell("predict", folder, write("same.arff", [0, 1, 2], 5), "--out", out)[0] == 0
        for command, new in (("predict", "p.csv"), ("evaluate", "report"), ("embed", "z.npy")):
            code, _, told = shell(command, folder, write("other.arff", [1, 0, 2], 5), "--out", tmp_path / new)
            assert code == 2
            assert "'weight' as feature 1, which is 'length' in the model" in " ".join(told.split())


def test_a_model_of_a_frame_of_numbers_takes_tables_by_the_names_of_their_columns(
    shell: Shell, tmp_path: Path
) -> None:
    X = pandas.DataFrame(np.random.default_rng(0).normal(size=(100, 3)), columns=["length", "weight", "age"])
    Y = pandas.DataFrame({"sea": X["length"] > 0, "sky": X["age"] > 0.5}).astype(int)
    made = MultiLabelClassifier("logistic_regression", random_state=0).fit(X, Y)
    made.save(tmp_path / "model")
    new, out = X.iloc[:9], tmp_path / "p.jsonl"
    rows = pandas.concat([Y, new[["age", "length"]], new["weight"]], axis=1).iloc[:9]
    rows.assign(note="of no interest").to_csv(tmp_path / "new.csv", index=False)
    code, _, told = shell(
        "predict", tmp_path / "model", tmp_path / "new.csv", "--probabilities", "--out", out
    )
    assert code == 0, told
    told = [json.loads(line)["all_probabilities"] for line in out.read_text("utf-8").splitlines()]
    found = [[row[name] for name in ("sea", "sky")] for row in told]
    np.testing.assert_allclose(found, made.predict_proba(new), atol=1e-6)
    given = tmp_path / "model", tmp_path / "new.csv"
    assert shell("evaluate", *given, "--labels", "sea,sky", "--out", tmp_path / "report")[0] == 0
    assert shell("embed", *given, "--out", tmp_path / "z.npy")[0] == 0
    np.testing.assert_allclose(np.load(tmp_path / "z.npy"), made.transform(new), atol=1e-6)
    for cells, told in (
        ("length,weight\n1,2\n", "expected a column 'age'"),
        ("length,weight,age\n1,2,3\n1,,3\n", "line 3, column 'weight': expected a number, but got no value"),
        ("length,weight,age\n1,2,old\n", "line 2, column 'age': expected a finite number, but got 'old'"),
    ):
        (tmp_path / "bad.csv").write_text(cells)
        code, _, errors = shell(
            "predict", tmp_path / "model", tmp_path / "bad.csv", "--out", tmp_path / "e.csv"
        )
        assert (code, told in " ".join(errors.split())) == (2, True), errors
    assert not (tmp_path / "e.csv").exists()


@pytest.mark.parametrize("first", [0, 1])
def test_a_model_of_svmlight_rows_knows_from_which_number_they_are_counted(
    shell: Shell, tmp_path: Path, first: int
) -> None:
    X = np.random.default_rng(0).random((100, 5)) + 0.1

    def write(name: str, columns: slice, n: int) -> Path:
        rows = ([f"{j + first}:{x:.4f}" for j, x in enumerate(row)][columns] for row in X[:n].tolist())
        labels = (",".join(str(k) for k in range(2) if row[k] > 0.6) for row in X)
        (tmp_path / name).write_text(
            "".join(f"{y} {' '.join(row)}\n" for y, row in zip(labels, rows, strict=False))
        )
        return tmp_path / name

    model, short, whole = tmp_path / "model", tmp_path / "p.csv", tmp_path / "q.csv"
    rows = write("rows.svm", slice(None), 100)
    assert shell("fit", rows, "--method", "logistic_regression", "--out", model)[0] == 0
    assert shell("predict", model, write("new.svm", slice(1, 4), 9), "--out", short)[0] == 0
    np.savez(tmp_path / "new.npz", X=X[:9].round(4) * [0, 1, 1, 1, 0])
    assert shell("predict", model, tmp_path / "new.npz", "--out", whole)[0] == 0
    assert short.read_text() == whole.read_text()


def test_labels_in_columns_groups_texts_and_validation_rows(shell: Shell, tmp_path: Path) -> None:
    write_example(tmp_path / "places.csv", rows=200)
    lines = lines_of(tmp_path / "places.csv")
    for name, part in (("train", lines[:150]), ("held", lines[150:])):
        wide = [
            {"owner": f"o{i % 9}"} | line | {f"is_{tag}": int(tag in line["tags"].split("|")) for tag in TAGS}
            for i, line in enumerate(part)
        ]
        for row in wide:
            del row["tags"]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in wide))
    asked = (
        "fit",
        tmp_path / "train.jsonl",
        "--labels",
        "is_*",
        "--groups",
        "owner",
        "--text",
        "description",
    )
    roles = ("--column", "rooms=category", "--column", "name=skip")
    code, output, _ = shell(*asked, *roles, "--out", tmp_path / "model", "--thresholds", "0.4", *quick())
    assert code == 0
    assert "groups      owner" in output
    assert "left out    name (as you said)" in output
    before = (tmp_path / "model" / "model.json").read_bytes()
    given = ("--validation", tmp_path / "held.jsonl", "--thresholds", "shared", "--out", tmp_path / "model")
    assert shell(*asked, *roles, *given, *quick())[0] == 2
    assert (tmp_path / "model" / "model.json").read_bytes() == before
    code, output, _ = shell(*asked, *roles, *given, "--overwrite", *quick())
    assert (tmp_path / "model" / "model.json").read_bytes() != before
    assert (code, "on held-out rows (the validation rows)" in output) == (0, True)
    assert shell("evaluate", tmp_path / "model", tmp_path / "held.jsonl", "--out", tmp_path / "r")[0] == 0
    report = ("--train", tmp_path / "train.jsonl", "--out", tmp_path / "r")
    assert shell("evaluate", tmp_path / "model", tmp_path / "held.jsonl", *report)[0] == 0
    names = [part["name"] for part in json.loads((tmp_path / "r" / "metrics.json").read_text())["slices"]]
    assert "group o3" in names


def test_a_table_is_described_without_a_bar_for_no_rows_and_with_what_is_cut_marked(
    shell: Shell, tmp_path: Path
) -> None:
    lines = [f"{'a long day ' * 6}{i},{int(i < 20)},{int(i == 3)},0" for i in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(["title,is_often,is_once,is_never", *lines]) + "\n")
    code, output, _ = shell("data", "describe", tmp_path / "t.csv", "--labels", "is_*")
    bars = {line.split()[0]: line.count("█") for line in output.splitlines() if line.startswith("is_")}
    assert (code, bars) == (0, {"is_often": 30, "is_once": 2, "is_never": 0})
    title = next(line for line in output.splitlines() if line.startswith("title"))
    assert title.rstrip().endswith("a long day a lo…")


def test_a_file_with_its_label_columns_named_evaluates_a_model_of_python(
    shell: Shell, places: Path, tmp_path: Path
) -> None:
    lines = lines_of(places / "places.csv")
    X = {name: [line[name] for line in lines] for name in lines[0] if name != "tags"}
    Y = [[*filter(None, line["tags"].split("|"))] for line in lines]
    MultiLabelClassifier("logistic_regression").fit(pandas.DataFrame(X), Y).save(tmp_path / "model")
    asked = ("evaluate", tmp_path / "model", places / "test.csv", "--out", tmp_path / "report")
    code, _, errors = shell(*asked)
    assert (code, "Name its label columns with --labels." in errors) == (2, True)
    assert not (tmp_path / "report").exists()
    assert shell(*asked, "--labels", "tags")[0] == 0
    measured = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert measured["labels"] == sorted({tag for tags in Y for tag in tags})
    assert "--labels tags" in (tmp_path / "report" / "report.html").read_text()


def test_labels_that_nobody_carries_are_told_with_what_they_count(shell: Shell, tmp_path: Path) -> None:
    for name, unasked in (("train", "0"), ("test", "")):
        lines = [f"{i / 40},{i % 3 % 2},{i % 2},0,{unasked}" for i in range(40)]
        (tmp_path / f"{name}.csv").write_text("x,is_a,is_b,is_<never>,is_unasked\n" + "\n".join(lines) + "\n")
    asked = ("--labels", "is_*", "--method", "logistic_regression", "--out", tmp_path / "model")
    code, output, _ = shell("fit", tmp_path / "train.csv", *asked)
    assert code == 0
    assert "note: 2 labels ('is_<never>', 'is_unasked') are never given in training: nothing can be" in output
    _, output, _ = shell("evaluate", tmp_path / "model", tmp_path / "test.csv", "--out", tmp_path / "report")
    told = json.loads((tmp_path / "report" / "metrics.json").read_text())
    f1 = [value or 0.0 for value in told["per_label"]["f1"]]
    assert told["per_label"]["known"] == [40, 40, 40, 0]
    assert told["values"]["macro_f1"] == pytest.approx(sum(f1[:3]) / 3)
    never = "without a positive row here; the mAP leaves such labels out, the macro-F1 counts them as 0"
    unasked = "1 of 4 labels known of no row here, left out of every metric: is_unasked."
    assert f"note: 1 of 4 labels {never}: is_<never>.\nnote: {unasked}" in output
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert f"{never}: is_&lt;never&gt;." in page
    assert unasked in page


def test_methods_are_compared_on_a_table(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_example(tmp_path / "places.csv", rows=160)
    asked = ("run", "places.csv", "--labels", "tags", "-m", "bce,logistic_regression", "--seeds", "1")
    code, output, told = shell(*asked, "--set", "bce.classify.stage.epochs=4", "--jobs", "2", "--out", "r")
    assert code == 0
    assert "places: 120 training and 40 test rows (2 texts, 1 category, 3 numbers), 6 labels" in told
    last = output.splitlines()[-1]
    assert last.startswith("A baseline is ahead: logistic_regression on ")  # four epochs are no match
    assert "On places, logistic_regression won on mAP" in last
    page = (tmp_path / "r" / "report.html").read_text("utf-8")
    assert "manylabel run places.csv --methods bce,logistic_regression --seeds 1" in page
    assert "--labels tags" in page
    assert "drawn label-stratified with seed 0" in page
