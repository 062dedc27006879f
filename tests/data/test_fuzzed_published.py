"""Damaged files of owners' formats are refused by name or read, in little time and memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.data.test_fuzzed_readers import Files, made, mutated

from manylabel.data.formats.chestxray import FINDINGS
from manylabel.data.formats.published import PUBLISHED

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

N = 6
Y = np.random.default_rng(0).random((N, 4)) < 0.5
Y[0] = True
PARTS = {"train": range(4), "test": range(4, N)}


def drawn(*names: str) -> Files:
    picture = made(lambda file: Image.new("RGB", (9, 9), (9, 90, 190)).save(file, "JPEG"))
    return dict.fromkeys(names, picture)


def lines(rows: object) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()  # type: ignore[attr-defined]


def coco() -> Files:
    files: Files = {}
    for part, rows in PARTS.items():
        content = {
            "images": [{"id": i, "file_name": f"{i}.jpg"} for i in rows],
            "annotations": [
                {"image_id": i, "category_id": int(j)} for i in rows for j in np.flatnonzero(Y[i])
            ],
            "categories": [{"id": j, "name": f"l{j}"} for j in range(4)],
        }
        files[f"annotations/instances_{part}.json"] = json.dumps(content).encode()
    return files | drawn(*(f"{i}.jpg" for i in range(N)))


def nuswide() -> Files:
    files: Files = {}
    for part, rows in PARTS.items():
        files[f"ImageList/{part.title()}Imagelist.txt"] = lines(f"a\\{i}.jpg" for i in rows)
        for j in range(4):
            name = f"TrainTestLabels/Labels_l{j}_{part.title()}.txt"
            files[name] = lines(int(Y[i, j]) for i in rows)
    return files | drawn(*(f"{i}.jpg" for i in range(N)))


def mirflickr() -> Files:
    names = ("plant_life", "animals", "baby", "sky")
    files = {f"{name}.txt": lines(np.flatnonzero(Y[:, j]) + 1) for j, name in enumerate(names)}
    return files | drawn(*(f"im{i + 1}.jpg" for i in range(N)))


def voc() -> Files:
    files: Files = {}
    for i in range(N):
        objects = "".join(
            f"<object><name>l{j}</name><difficult>{i % 2}</difficult></object>\n"
            for j in np.flatnonzero(Y[i])
        )
        files[f"Annotations/{i}.xml"] = f"<annotation>\n{objects}</annotation>".encode()
    files["ImageSets/Main/trainval.txt"] = lines(PARTS["train"])
    files["ImageSets/Main/test.txt"] = lines(PARTS["test"])
    return files | drawn(*(f"JPEGImages/{i}.jpg" for i in range(N)))


def chestxray() -> Files:
    found = ("|".join(FINDINGS[j] for j in np.flatnonzero(row)) or "No Finding" for row in Y)
    table = lines(
        ["Image Index,Finding Labels,Age", *(f"{i}.jpg,{labels},9" for i, labels in enumerate(found))]
    )
    files = {"Data_Entry_2017.csv": table}
    files |= {
        f"{name}.txt": lines(f"{i}.jpg" for i in PARTS[part])
        for name, part in (("train_val_list", "train"), ("test_list", "test"))
    }
    return files | drawn(*(f"images/{i}.jpg" for i in range(N)))


def adp() -> Files:
    rows = (f"{i}.jpg,{','.join(map(str, row))}" for i, row in enumerate(Y.astype(int).tolist()))
    files = {"ADP_EncodedLabels_Release1_Flat.csv": lines(["Patch Names,E,C,E.M,E.M.S", *rows])}
    for part, positions in (("train", [0, 1, 2]), ("valid", [3]), ("test", [4, 5])):
        files[f"splits/{part}.npy"] = made(lambda file, p=positions: np.save(file, np.array(p)))  # type: ignore[misc]
    return files | drawn(*(f"{i}.jpg" for i in range(N)))


def miml() -> Files:
    from scipy.io import savemat

    arrays = {
        "targets": np.where(Y.T, 1, -1),
        "class_name": np.array([f"l{j}" for j in range(4)], dtype=object),
    }
    return {"miml data.mat": made(lambda file: savemat(file, arrays))} | drawn(
        *(f"{i + 1}.jpg" for i in range(N))
    )


def rcv1() -> Files:
    topics = lines(f"l{j} {i} 1" for i in range(N) for j in np.flatnonzero(Y[i] | (np.arange(4) == 0)))
    stories = {part: lines(f".I {i}\n.W\nword other{i}\n" for i in rows) for part, rows in PARTS.items()}
    return {
        "lyrl2004_tokens_train.dat": stories["train"],
        "rcv1-v2.topics.qrels": topics,
        "lyrl2004_tokens_test_pt0.dat": stories["test"],
    }


def aapd() -> Files:
    files: Files = {}
    for part, rows in PARTS.items():
        files[f"label_{part}"] = lines(" ".join(f"l{j}" for j in np.flatnonzero(Y[i])) for i in rows)
        files[f"text_{part}"] = lines(f"an abstract {i}" for i in rows)
    return files


def bgc() -> Files:
    def book(i: int) -> str:
        genres = "".join(f"<d{j}>l{j}</d{j}>" for j in np.flatnonzero(Y[i] | (np.arange(4) == 0)))
        return f"<book>\n<title>t{i}</title>\n<body>blurb</body>\n<topics>{genres}</topics>\n</book>"

    return {f"BlurbGenreCollection_EN_{part}.txt": lines(map(book, rows)) for part, rows in PARTS.items()}


def uklex() -> Files:
    laws = (
        json.dumps({"body": f"law {i}", "labels": [f"l{j}" for j in np.flatnonzero(Y[i])], "data_type": part})
        for part, rows in PARTS.items()
        for i in rows
    )
    return {"uk-lex4.jsonl": lines(laws)}


def eurlex() -> Files:
    return {
        f"{part}/{i}.json": json.dumps(
            {
                "concepts": [f"l{j}" for j in np.flatnonzero(Y[i])],
                "title": f"law {i}",
                "main_body": ["a", "b"],
            }
        ).encode()
        for part, rows in PARTS.items()
        for i in rows
    }


def reuters() -> Files:
    stories = (
        f'<REUTERS TOPICS="YES" LEWISSPLIT="{part.upper()}">'
        f"<TOPICS>{''.join(f'<D>l{j}</D>' for j in np.flatnonzero(Y[i] | (np.arange(4) == 0)))}</TOPICS>\n"
        f"<TEXT><TITLE>T{i}</TITLE><BODY>Body &lt; Reuter</BODY></TEXT></REUTERS>"
        for part, rows in PARTS.items()
        for i in rows
    )
    return {"reut2-000.sgm": lines(stories)}


def goemotions() -> Files:
    rows = [f"text {i}\t{','.join(map(str, np.flatnonzero(row))) or '0'}\tid{i}" for i, row in enumerate(Y)]
    files = {"train.tsv": lines(rows[:3]), "dev.tsv": lines(rows[3:4]), "test.tsv": lines(rows[4:])}
    return files | {"emotions.txt": lines(f"l{j}" for j in range(4))}


WRITERS: dict[str, Callable[[], Files]] = {
    "coco": coco, "nuswide": nuswide, "mirflickr": mirflickr, "voc": voc, "chestxray14": chestxray, "adp": adp,
    "miml": miml, "rcv1": rcv1, "aapd": aapd, "bgc": bgc, "uklex": uklex, "eurlex": eurlex, "reuters": reuters,
    "goemotions": goemotions,
}  # fmt: skip


def test_every_published_format_is_tried() -> None:
    assert set(WRITERS) == {format.name for format in PUBLISHED}


@pytest.mark.parametrize("kind", WRITERS)
def test_damaged_files_are_refused_or_read_whole(tmp_path: Path, kind: str) -> None:
    assert mutated(tmp_path, kind, WRITERS[kind](), 60)["refused"] >= 5


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITERS)
def test_thousands_of_damaged_files_are_refused_or_read_whole(tmp_path: Path, kind: str) -> None:
    assert mutated(tmp_path, kind, WRITERS[kind](), 2000)["refused"] > 150
