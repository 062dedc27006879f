"""The page of examples: nearest rows and surest mistakes, as pictures and text, names from outside never markup."""

from __future__ import annotations

import base64
import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.study.small_study import TINY, Told, plan
from tests.study.test_report import Page, WellFormed

from manylabel.errors import ManyLabelError
from manylabel.labels import as_labels
from manylabel.study import StudyFolder, run
from manylabel.study.report import examples_page
from manylabel.study.report.examples import drawn_queries, nearest_rows, surest_mistakes, thumbnail
from text_encoders import themed_texts

MARKUP = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A study of texts and tags that look like markup."""
    folder = tmp_path_factory.mktemp("texts")
    found, Y = themed_texts(120)
    names = ("<b>cat</b>", "dog & co", "sea", "sun")
    with open(folder / "notes.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["note", "tags"])
        for text, row in zip(found, Y, strict=True):
            tags = "|".join(name for name, carried in zip(names, row, strict=True) if carried)
            writer.writerow([f"{MARKUP} {text}", tags])
    study = plan(
        folder / "notes.csv",
        folder / "runs",
        methods=("bce", "logistic_regression"),
        settings={"bce": {key.removeprefix("vectors."): value for key, value in TINY.items()}},
        labels=("tags",),
    )
    assert run(study, Told()) == []
    return study.folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (90, 12, 16, 3), dtype=np.uint8)
    Y = rng.random((90, 4)) < 0.4
    np.savez(folder / "noise.npz", X_train=X[:60], y_train=Y[:60], X_test=X[60:], y_test=Y[60:])
    settings = {"bce": {"images.encoder.widths": [8], "classify.stage.epochs": 1, "classify.stage.batch": 16}}
    study = plan(folder / "noise.npz", folder / "runs", methods=("bce",), seeds=(3,), settings=settings)
    assert run(study, Told()) == []
    return study.folder


def test_texts_and_tags_with_markup_are_shown_as_text(texts: StudyFolder) -> None:
    html = examples_page.write(texts.path).read_text("utf-8")
    assert WellFormed(html).flaws == []
    assert "<script>alert" not in html  # the page's own sorts its tables
    assert "<b>cat" not in html
    page = Page(html)
    assert MARKUP in page.text
    assert "<b>cat</b>" in page.text
    assert "dog & co" in page.text
    assert "nearest by logistic_regression" in page.text
    assert "nearest by bce" in page.text
    assert page.text.count("most probable labels that the row does not carry") == 2


def test_every_method_has_its_own_nearest_rows(texts: StudyFolder) -> None:
    html = examples_page.write(texts.path).read_text("utf-8")
    queries = drawn_queries(texts.test_labels(), examples_page.QUERIES)
    assert len(re.findall("<h3>Row ", html)) == len(queries) == 8
    for method in ("bce", "logistic_regression"):
        Z = texts.scores(method, 0)["test_embedding"].astype(np.float64)
        Z /= np.linalg.norm(Z, axis=1, keepdims=True)
        first = int(queries[0])
        others = [row for row in range(len(Z)) if row != first]
        best = max(others, key=lambda row: float(Z[first] @ Z[row]))
        section = html.partition(f"<h3>Row {first + 1}</h3>")[2].partition("</section>")[0]
        shown = section.partition(f"nearest by {method}</h4>")[2].partition("</ul>")[0]
        assert f"row {best + 1}<" in shown.partition("</li>")[0]
        assert shown.count("<li>") == examples_page.NEAREST


def test_pictures_are_shown_within_the_page(pictures: StudyFolder) -> None:
    html = examples_page.write(pictures.path).read_text("utf-8")
    images = [attributes["src"] or "" for tag, attributes in Page(html).tags if tag == "img"]
    assert len(images) == 8 * (1 + 5) + 2 * 6
    assert all(src.startswith("data:image/png;base64,") for src in images)
    assert {tag for tag, _ in Page(html).tags} & {"link", "iframe"} == set()
    assert all("src" not in attributes for tag, attributes in Page(html).tags if tag == "script")


def test_a_thumbnail_is_the_picture() -> None:
    grey = torch.arange(64 * 128, dtype=torch.float32).view(1, 64, 128) % 256
    tiny = torch.full((3, 8, 4), 200, dtype=torch.uint8)
    for picture, mode, form in ((grey, "L", "jpeg"), (tiny, "RGB", "png")):
        head, _, code = thumbnail(picture).partition(",")
        assert head == f"data:image/{form};base64"
        content = base64.b64decode(code)
        image = Image.open(io.BytesIO(content))
        assert image.mode == mode
        assert max(image.size) == 112
        assert (image.width > image.height) == (picture.shape[2] > picture.shape[1])
    assert image.getpixel((0, 0)) == (200, 200, 200)


def test_nearest_rows_leave_the_query_out() -> None:
    Z = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [2.0, 0.0], [0.0, 0.0]])
    rows, cosines = nearest_rows(Z, np.array([0, 2]), 3)
    assert rows.tolist() == [[3, 1, 2], [1, 0, 3]]
    assert cosines[0, 0] == pytest.approx(1)
    assert nearest_rows(Z[:2], np.array([0]), 5)[0].tolist() == [[1]]


def test_the_surest_mistakes_are_those_of_a_slow_search() -> None:
    rng = np.random.default_rng(0)
    scores, Y = rng.random((40, 5)), (rng.random((40, 5)) < 0.4).astype(float)
    Y[rng.random((40, 5)) < 0.2] = np.nan
    claimed, missed = surest_mistakes(scores, as_labels(Y), 7)
    for found, wrong, sign in ((claimed, 0.0, -1), (missed, 1.0, 1)):
        slow: dict[int, tuple[float, int]] = {}
        for row in range(40):
            for label in range(5):
                key = (sign * scores[row, label], label)
                if Y[row, label] == wrong and (row not in slow or key < slow[row]):
                    slow[row] = key
        expected = sorted(slow, key=lambda row: slow[row])[:7]
        assert [mistake.row for mistake in found] == expected
        assert [mistake.label for mistake in found] == [slow[row][1] for row in expected]
        assert all(mistake.probability == scores[mistake.row, mistake.label] for mistake in found)
        assert all(mistake.carried == (wrong == 1) for mistake in found)
    right = surest_mistakes(np.array([[1.0, 0.0]]), as_labels(np.array([[1, np.nan]])), 3)
    assert right == ([], [mistake for mistake in right[1] if mistake.carried])


def test_other_data_and_unfinished_studies_are_refused(pictures: StudyFolder, tmp_path: Path) -> None:
    path = Path(pictures.record().asked["data"])
    before = path.read_bytes()
    with np.load(path) as arrays:
        changed = dict(arrays) | {"y_test": ~arrays["y_test"]}
    np.savez(path, **changed)
    with pytest.raises(ManyLabelError, match="expected noise as it was then, but got other data"):
        examples_page.write(pictures.path)
    path.write_bytes(before)
    examples_page.write(pictures.path)
    with pytest.raises(ManyLabelError, match="the folder of a study"):
        examples_page.write(tmp_path)
