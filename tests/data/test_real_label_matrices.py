"""Real label matrices, written as their owners write them, are read back label by label in the owners' order."""

from __future__ import annotations

import csv
import json
from collections import defaultdict

import numpy as np

from manylabel.data.build import About
from manylabel.data.formats.chestxray import list_chestxray
from manylabel.data.formats.coco import list_coco
from manylabel.data.formats.goemotions import read_goemotions
from manylabel.data.formats.mirflickr import list_mirflickr
from manylabel.data.formats.nuswide import list_nuswide
from manylabel.data.formats.reuters import read_reuters
from manylabel.data.formats.texts import read_texts
from manylabel.data.formats.voc import list_voc

# Of the 80 categories of COCO, the owners leave these numbers out.
GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)


def matrices(shared_data, name):
    with np.load(shared_data / name / "data.npz") as arrays:
        found = {key: arrays[key] for key in arrays.files}
    return found | {
        key: [str(label) for label in found[key]] for key in found if key.startswith("label_names")
    }


def dense(Y):
    return Y.toarray() if hasattr(Y, "toarray") else np.asarray(Y)


def names(part):
    return [path.name for path in part.files]


def test_coco2014(shared_data, tmp_path):
    wanted = matrices(shared_data, "coco2014_labels")
    numbers = [number for number in range(1, 91) if number not in GAPS]
    kinds = [{"id": n, "name": label} for n, label in zip(numbers, wanted["label_names"], strict=True)]
    of_part = {"train": "train2014", "test": "val2014"}
    for part, year in of_part.items():
        images, annotations = [], []
        for i, (file, row) in enumerate(
            zip(wanted[f"ids_{part}"].tolist(), wanted[f"y_{part}"], strict=True)
        ):
            images.append({"id": 7 * i, "file_name": file.decode().split("/")[1]})
            annotations += [
                {"image_id": 7 * i, "category_id": numbers[j], "bbox": [0.0, 1.5, 2, 3]}
                for j in np.flatnonzero(row).tolist()
            ]
        order = np.random.default_rng(0).permutation(len(annotations))
        content = {
            "images": images,
            "annotations": [annotations[i] for i in order],
            "categories": kinds[::-1],
        }
        (tmp_path / f"instances_{year}.json").write_text(
            json.dumps(content, indent=None if part == "train" else 1)
        )
    found = list_coco(tmp_path)
    assert list(found.label_names) == wanted["label_names"]
    for part, rows in zip(of_part, found.parts, strict=True):
        assert names(rows) == [file.decode().split("/")[1] for file in wanted[f"ids_{part}"].tolist()]
        assert np.array_equal(dense(rows.Y), wanted[f"y_{part}"])


def test_nuswide81(shared_data, tmp_path):
    wanted = matrices(shared_data, "nuswide81_labels")
    (tmp_path / "Concepts81.txt").write_text("\n".join(wanted["label_names"]) + "\n")
    labels = tmp_path / "Groundtruth" / "TrainTestLabels"
    labels.mkdir(parents=True)
    (tmp_path / "ImageList").mkdir()
    for part in ("Train", "Test"):
        files = [f"all\\{file.decode().split('/')[1]}" for file in wanted[f"ids_{part.lower()}"].tolist()]
        (tmp_path / "ImageList" / f"{part}Imagelist.txt").write_text("\r\n".join(files) + "\r\n")
        for j, name in enumerate(wanted["label_names"]):
            column = wanted[f"y_{part.lower()}"][:, j]
            (labels / f"Labels_{name}_{part}.txt").write_text("".join(f"{cell}\n" for cell in column))
    for concepts in (True, False):
        found = list_nuswide(tmp_path)
        assert list(found.label_names) == wanted["label_names"]
        for part, rows in zip(("train", "test"), found.parts, strict=True):
            assert names(rows) == [file.decode().split("/")[1] for file in wanted[f"ids_{part}"].tolist()]
            assert np.array_equal(rows.Y, wanted[f"y_{part}"])
        if concepts:
            (tmp_path / "Concepts81.txt").unlink()


def test_mirflickr25k(shared_data, tmp_path):
    wanted = matrices(shared_data, "mirflickr25k_labels")
    ids = np.concatenate([wanted["ids_train"], wanted["ids_test"]])
    numbers = np.array([int(file.decode()[2:-4]) for file in ids.tolist()])
    Y = np.zeros((25000, 38), np.uint8)
    for columns, key in ((slice(0, 24), "y"), (slice(24, 38), "y_r1")):
        Y[numbers - 1, columns] = np.concatenate([wanted[f"{key}_train"], wanted[f"{key}_test"]])
    labels = [
        *wanted["label_names"],
        *(f"{name.removesuffix('_r1')}_r1" for name in wanted["label_names_r1"]),
    ]
    for name, column in zip(labels, Y.T, strict=True):
        (tmp_path / f"{name}.txt").write_text("".join(f"{i}\r\n" for i in np.flatnonzero(column) + 1))
    found = list_mirflickr(tmp_path, About("mirflickr"))
    last = int(np.flatnonzero(Y.any(axis=1)).max()) + 1
    assert list(found.label_names) == wanted["label_names"]
    assert np.array_equal(found.parts[0].Y, Y[:last, :24])
    assert names(found.parts[0])[::9999] == ["im1.jpg", "im10000.jpg", "im19999.jpg"]
    whole = list_mirflickr(tmp_path, About("mirflickr", options={"relevant": True}))
    assert list(whole.label_names) == labels
    assert np.array_equal(whole.parts[0].Y, Y[:last])


def test_voc2007(shared_data, tmp_path):
    wanted = matrices(shared_data, "voc2007_labels")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    labels = wanted["label_names"]
    for part, name in (("train", "trainval"), ("test", "test")):
        ids = [file.decode() for file in wanted[f"ids_{part}"].tolist()]
        (tmp_path / "ImageSets" / "Main" / f"{name}.txt").write_text("\n".join(ids) + "\n")
        for i, row, hard in zip(ids, wanted[f"y_{part}"], wanted[f"difficult_{part}"], strict=True):
            objects = [(labels[j], 0) for j in np.flatnonzero(row)] + [
                (labels[j], 1) for j in np.flatnonzero(row | hard)
            ]
            text = "".join(
                f"<object>\n<name>{label}</name>\n<pose>Left</pose>\n<difficult>{mark}</difficult>\n</object>\n"
                for label, mark in objects
            )
            (tmp_path / "Annotations" / f"{i}.xml").write_text(f"<annotation>\n{text}</annotation>\n")
    for kind, of_part in (("unknown", (np.nan, np.nan)), ("negative", (0, 0)), ("positive", (1, np.nan))):
        found = list_voc(tmp_path, About("voc", options={"difficult": kind}))
        assert list(found.label_names) == labels
        for part, rows, value in zip(("train", "test"), found.parts, of_part, strict=True):
            Y = np.where(wanted[f"difficult_{part}"] == 1, value, wanted[f"y_{part}"])
            np.testing.assert_array_equal(rows.Y, Y.astype(np.float32))
            assert names(rows) == [f"{file.decode()}.jpg" for file in wanted[f"ids_{part}"].tolist()]


def test_chestxray14(shared_data, tmp_path):
    wanted = matrices(shared_data, "chestxray14_labels")
    labels = np.array(wanted["label_names"])
    parts = {"train_val": ("train", "val"), "test": ("test",)}
    ids = {part: np.concatenate([wanted[f"ids_{p}"] for p in of]) for part, of in parts.items()}
    Y = {part: np.concatenate([wanted[f"y_{p}"] for p in of]) for part, of in parts.items()}
    rows = sorted(
        (file.decode(), "|".join(labels[row == 1]) or "No Finding")
        for p in parts
        for file, row in zip(ids[p].tolist(), Y[p], strict=True)
    )
    with (tmp_path / "Data_Entry_2017.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "Image Index",
                "Finding Labels",
                "Follow-up #",
                "Patient ID",
                "Patient Age",
                "OriginalImage[Width",
                "Height]",
            ]
        )
        writer.writerows([name, found, 0, int(name[:8]), 50, 2000, 2000] for name, found in rows)
    for part in parts:
        (tmp_path / f"{part}_list.txt").write_text("\n".join(file.decode() for file in ids[part].tolist()))
    found = list_chestxray(tmp_path / "Data_Entry_2017.csv")
    assert list(found.label_names) == wanted["label_names"]
    for part, listed in zip(parts, found.parts, strict=True):
        assert names(listed) == [file.decode() for file in ids[part].tolist()]
        assert np.array_equal(listed.Y, Y[part])


def test_goemotions(shared_data, tmp_path):
    copy = read_texts(shared_data / "goemotions", About("goemotions"))
    (tmp_path / "emotions.txt").write_text("\n".join(copy.label_names) + "\n")
    Y = copy.train.Y.dense().numpy()
    kept = np.setdiff1d(np.arange(len(Y)), copy.validation_rows)
    parts = {
        "train": (copy.train.X.take(kept).values, Y[kept]),
        "dev": (copy.train.X.take(copy.validation_rows).values, Y[copy.validation_rows]),
        "test": (copy.test.X.values, copy.test.Y.dense().numpy()),
    }
    for part, (texts, rows) in parts.items():
        lines = [
            f"{text}\t{','.join(map(str, np.flatnonzero(row)))}\te{i}\n"
            for i, (text, row) in enumerate(zip(texts, rows, strict=True))
        ]
        (tmp_path / f"{part}.tsv").write_text("".join(lines), "utf-8")
    found = read_goemotions(tmp_path, About("goemotions"))
    assert found.digest == copy.digest


def test_reuters21578(shared_data, tmp_path):
    """Labels, texts and their order: the arrays' rows are those of the SGML made of them."""
    copy = read_texts(shared_data / "reuters21578", About("reuters21578"))
    files = defaultdict(list)
    for part, rows in (("TRAIN", copy.train), ("TEST", copy.test)):
        for i, (text, row) in enumerate(zip(rows.X.values, rows.Y.dense().numpy(), strict=True)):
            topics = "".join(f"<D>{copy.label_names[j]}</D>" for j in np.flatnonzero(row))
            title, _, body = (
                text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").partition("\n")
            )
            inner = f"<TITLE>{title}</TITLE>" + (
                f"<DATELINE> X, March 1 - </DATELINE><BODY>{body}\n Reuter\n&#3;</BODY>" if body else ""
            )
            files[i % 22].append(
                f'<REUTERS TOPICS="YES" LEWISSPLIT="{part}" CGISPLIT="TRAINING-SET" OLDID="1" NEWID="{i}">\n'
                f"<TOPICS>{topics}</TOPICS>\n<PLACES></PLACES>\n<TEXT>&#2;\n{inner}</TEXT>\n</REUTERS>\n"
            )
    for number, stories in files.items():
        content = '<!DOCTYPE lewis SYSTEM "lewis.dtd">\n' + "".join(stories)
        (tmp_path / f"reut2-{number:03}.sgm").write_bytes(content.encode("latin-1"))
    found = read_reuters(tmp_path, About("reuters"))
    assert found.label_names == copy.label_names
    for part in ("train", "test"):
        given, read = getattr(copy, part), getattr(found, part)
        order = [i for number in range(22) for i in range(number, len(given), 22)]
        assert len(read) == len(given)
        assert np.array_equal(read.Y.dense(), given.Y.dense()[order])
        assert read.X.values == [given.X.values[i] for i in order]
