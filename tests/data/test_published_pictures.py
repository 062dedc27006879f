"""Pictures as their owners publish them: small sets in the real formats, and broken files told by file and line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from manylabel import data
from manylabel.data.formats.registry import format_of_folder
from manylabel.errors import ManyLabelError

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


@pytest.fixture
def draw(tmp_path):
    """``draw(name, i)`` puts a picture, all of whose numbers are ``i``, into the test's folder."""

    def put(name, i=0):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10), (i, i, i)).save(path, quality=95)

    return put


def numbers(rows):
    """What the pictures of some rows were drawn with."""
    return rows.X.values[:, 0, 5, 5].tolist()


def ones(rows):
    return rows.Y.dense().int().tolist()


# --- COCO ---

CATEGORIES = [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}, {"id": 18, "name": "dog"}]
TOGETHER = {1: [18, 1, 18], 2: [], 3: [90], 4: [1]}


def instances(images, together, folder="", **more):
    made = [{"id": i, "file_name": f"{folder}{i:03}.jpg", "height": 10, "width": 20} for i in images]
    annotations = [
        {
            "id": 10 * i + j,
            "image_id": i,
            "category_id": c,
            "iscrowd": j % 2,
            "bbox": [0.5, 1, 2, 3],
            "segmentation": [],
        }
        for i in images
        for j, c in enumerate(together.get(i, []))
    ]
    return {
        "info": {"year": 2014},
        "images": made,
        "annotations": annotations,
        "categories": CATEGORIES,
    } | more


@pytest.fixture
def coco(write, draw, tmp_path):
    for i in range(1, 5):
        draw(f"{'train2014' if i < 4 else 'val2014'}/{i:03}.jpg", 50 * i)
    write("annotations/instances_train2014.json", json.dumps(instances([3, 1, 2], TOGETHER)))
    write("annotations/instances_val2014.json", json.dumps(instances([4], TOGETHER)))
    write("annotations/captions_train2014.json", '{"info": {}, "annotations": []}')
    return tmp_path


def test_coco(coco):
    found = data.load(coco)
    assert found.label_names == ("person", "dog", "toothbrush")  # by the owners' numbers
    assert ones(found.train) == [[0, 0, 1], [1, 1, 0], [0, 0, 0]]
    assert numbers(found.train) == [150, 50, 100]
    assert ones(found.test) == [[1, 0, 0]]


def test_coco_without_a_split_and_objects365(write, draw, tmp_path):
    for i in range(1, 5):
        draw(f"train/patch{i % 2}/{i:03}.jpg", 50 * i)
    path = write("objects.json", json.dumps(instances([1, 2, 3, 4], TOGETHER, folder="images/v1/patch3/")))
    whole = data.load(path, undivided=True)
    assert numbers(whole.train) == [50, 100, 150, 200]
    write("zhiyuan_objv2_train.json", path.read_text())
    write("zhiyuan_objv2_val.json", path.read_text())
    path.unlink()
    assert len(data.load(tmp_path).test) == 4


def test_of_two_pictures_of_one_name_the_one_in_the_named_folder_is_taken(write, draw, tmp_path):
    draw("a/001.jpg", 10)
    draw("b/001.jpg", 200)
    write("train.json", json.dumps(instances([1], TOGETHER, folder="b/")))
    assert numbers(data.load(tmp_path, undivided=True).train) == [200]


WRONG_COCO = {
    "no JSON": ('"annotations": [', '"annotations": [?', "JSON as annotations, object [01]"),
    "a broken object": ('"category_id": 18', '"category_id": 18 18', "JSON as annotations, object [01]"),
    "cut off": ('"categories": [', "", r"val2014\.json"),
    "no number": (
        '"image_id": 1,',
        '"image": 1,',
        r"annotations, object 1: expected an object of annotations.*image_id",
    ),
    "another picture": (
        '"image_id": 1,',
        '"image_id": 7,',
        "expected annotations of pictures in 'images', but got an annotation of '7'",
    ),
    "another category": (
        '"category_id": 18',
        '"category_id": 19',
        "expected annotations of categories in 'categories', but got '19' of picture '1'",
    ),
    "a place elsewhere": (
        '"file_name": "001.jpg"',
        '"file_name": "../001.jpg"',
        r"images, object 1: expected the name of a picture, but got '\.\./001\.jpg'",
    ),
    "no categories": (
        '"categories": [',
        '"kinds": [',
        "expected a list 'categories' of objects, but got none",
    ),
}


@pytest.mark.parametrize("what", WRONG_COCO)
def test_broken_coco_is_told_by_file_and_object(coco, what):
    old, new, told = WRONG_COCO[what]
    path = coco / "annotations" / "instances_train2014.json"
    text = path.read_text()
    assert old in text
    if what == "cut off":
        path = coco / "annotations" / "instances_val2014.json"
        text = text[: text.index(old)]
        path.write_text(text)
    else:
        path.write_text(text.replace(old, new, 1))
    with pytest.raises(ManyLabelError, match=told) as error:
        data.load(coco)
    assert path.name in str(error.value)


def test_lacking_pictures_are_named_and_left_out_on_request(coco):
    (coco / "train2014" / "003.jpg").unlink()
    with pytest.raises(
        ManyLabelError, match=r"instances_train2014\.json: expected pictures.*'003\.jpg' \(No such file"
    ):
        data.load(coco)
    left = data.load(coco, options={"unreadable": "skip", "side": 16})
    assert numbers(left.train) == [50, 100]
    assert ones(left.train) == [[1, 1, 0], [0, 0, 0]]


# --- NUS-WIDE ---


@pytest.fixture
def nuswide(write, draw, tmp_path):
    names = ["actor\\0001_21.jpg", "actor\\0002_22.jpg", "zoo\\0001_23.jpg"]
    for i, name in enumerate(names):
        draw(f"Flickr/{name.replace(chr(92), '/')}", 60 * i)
    write("ImageList/TrainImagelist.txt", "\r\n".join(names[:2]) + "\r\n")
    write("ImageList/TestImagelist.txt", names[2] + "\n")
    write("Concepts81.txt", "water\nsky\n")
    for concept, train, test in (("sky", "1\n0\n", "1\n"), ("water", "1\n1\n", "0\n")):
        write(f"Groundtruth/TrainTestLabels/Labels_{concept}_Train.txt", train)
        write(f"Groundtruth/TrainTestLabels/Labels_{concept}_Test.txt", test)
        write(f"Groundtruth/AllLabels/Labels_{concept}.txt", "1\n1\n1\n")
    return tmp_path


def test_nuswide(nuswide):
    found = data.load(nuswide)
    assert found.label_names == ("water", "sky")
    assert ones(found.train) == [[1, 1], [1, 0]]
    assert ones(found.test) == [[0, 1]]
    assert numbers(found.train) == [0, 60]
    assert numbers(found.test) == [120]


WRONG_NUSWIDE = {
    "another word": (
        "Labels_sky_Train.txt",
        "1\nyes\n",
        r"Labels_sky_Train\.txt, line 2: expected 0 or 1, but got 'yes'",
    ),
    "a line too few": (
        "Labels_sky_Train.txt",
        "1\n",
        r"expected one line for each of 2 pictures of TrainImagelist\.txt, but got 1",
    ),
    "no file of a concept": (
        "../../Concepts81.txt",
        "water\nsky\nfire\n",
        "expected a file of labels of 'fire', but got none",
    ),
    "a concept twice": (
        "../../Concepts81.txt",
        "sky\nwater\nsky\n",
        r"Concepts81\.txt, line 3: expected every name once",
    ),
    "a place elsewhere": (
        "../../ImageList/TestImagelist.txt",
        "/etc/x.jpg\n",
        r"TestImagelist\.txt, line 1: expected the name of a picture",
    ),
    "no text": (
        "../../ImageList/TestImagelist.txt",
        b"\xff\xfe.jpg\n",
        r"TestImagelist\.txt, line 1: expected text in UTF-8",
    ),
}


@pytest.mark.parametrize("what", WRONG_NUSWIDE)
def test_broken_nuswide_is_told_by_file_and_line(nuswide, what):
    name, content, told = WRONG_NUSWIDE[what]
    path = nuswide / "Groundtruth" / "TrainTestLabels" / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ManyLabelError, match=told):
        data.load(nuswide)


# --- MIRFLICKR ---


@pytest.fixture
def mirflickr(write, draw, tmp_path):
    for i in range(1, 9):
        draw(f"mirflickr/im{i}.jpg", 20 * i)
    write("annotations/README.txt", "Annotations")
    write("annotations/plant_life.txt", "1\r\n3\r\n5\r\n8\r\n")
    write("annotations/animals.txt", "2\n3\n")
    write("annotations/animals_r1.txt", "3\n")
    return tmp_path


def test_mirflickr(mirflickr):
    found = data.load(mirflickr, undivided=True)
    assert found.label_names == ("animals", "plant_life")
    assert numbers(found.train) == [20 * i for i in range(1, 9)]
    assert ones(found.train)[:4] == [[0, 1], [1, 0], [1, 1], [0, 0]]
    whole = data.load(mirflickr, undivided=True, options={"relevant": True})
    assert whole.label_names == ("animals", "plant_life", "animals_r1")
    assert ones(whole.train)[1:3] == [[1, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize("word", ["0", "x", "-3", "1.5"])
def test_broken_mirflickr_is_told_by_file_and_line(mirflickr, word):
    (mirflickr / "annotations" / "animals.txt").write_text(f"2\n{word}\n")
    with pytest.raises(
        ManyLabelError, match=r"animals\.txt, line 2: expected the number of a picture, from 1, but got"
    ):
        data.load(mirflickr)


# --- PASCAL VOC ---


def annotation(*objects):
    parts = [
        f"<object><name>{name}</name><difficult>{mark}</difficult>"
        f"<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>"
        for name, mark in objects
    ]
    return f"<annotation>\n<folder>VOC2007</folder>\n<name>x</name>\n{chr(10).join(parts)}\n</annotation>\n"


@pytest.fixture
def voc(write, draw, tmp_path):
    objects = {
        "000005": [("dog", 0), ("cat", 1)],
        "000007": [("cat", 0), ("cat", 1)],
        "000001": [("dog", 1)],
    }
    for i, (name, found) in enumerate(objects.items()):
        draw(f"VOCdevkit/VOC2007/JPEGImages/{name}.jpg", 60 * i)
        write(f"VOCdevkit/VOC2007/Annotations/{name}.xml", annotation(*found))
    write("VOCdevkit/VOC2007/ImageSets/Main/trainval.txt", "000005\n000007\n")
    write("VOCdevkit/VOC2007/ImageSets/Main/test.txt", "000001\n")
    write("VOCdevkit/VOC2007/ImageSets/Main/dog_trainval.txt", "000005  1\n000007 -1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "train", "test"),
    [
        ({}, [["?", 1], [1, 0]], [[0, "?"]]),
        ({"difficult": "unknown"}, [["?", 1], [1, 0]], [[0, "?"]]),
        ({"difficult": "negative"}, [[0, 1], [1, 0]], [[0, 0]]),
        ({"difficult": "positive"}, [[1, 1], [1, 0]], [[0, "?"]]),
    ],
)
def test_difficult_objects_of_voc(voc, options, train, test):
    found = data.load(voc, options=options)
    assert found.label_names == ("cat", "dog")
    assert numbers(found.train) == [0, 60]
    for rows, wanted in ((found.train, train), (found.test, test)):
        hidden = np.array([[cell == "?" for cell in row] for row in wanted])
        given = np.array([[cell == 1 for cell in row] for row in wanted])
        assert np.array_equal(rows.Y.dense().numpy().astype(bool) & ~hidden, given)
        assert rows.Y.n_unknown == hidden.sum()
        if hidden.any():
            assert np.array_equal(rows.Y.unknown.dense().numpy().astype(bool), hidden)


def test_rows_that_are_measured_are_read_as_those_of_the_training(voc):
    asked = data.load(voc, options={"difficult": "negative", "fit": "short"})
    assert asked.reading == {"fit": "short", "difficult": "negative"}
    again = data.load(voc, like=data.Like(reading=asked.reading))
    assert (again.digest, again.reading) == (asked.digest, asked.reading)
    assert not again.test.Y.n_unknown
    other = data.load(voc, options={"difficult": "unknown"}, like=data.Like(reading=asked.reading))
    assert other.test.Y.n_unknown == 1


WRONG_VOC = {
    "no XML": (
        "000007.xml",
        annotation(("cat", 0)).replace("</object>", ""),
        r"000007\.xml, line 5: expected well-formed XML",
    ),
    "no name": ("000007.xml", annotation(("", 0)), r"000007\.xml, line 4: expected an object with a name"),
    "another mark": (
        "000007.xml",
        annotation(("cat", "maybe")),
        r"difficult or not \(1 or 0\), but got name 'cat', difficult 'maybe'",
    ),
    "an entity": (
        "000007.xml",
        '<!DOCTYPE a [<!ENTITY b "c">]>' + annotation(("cat", 0)),
        "without entities, but got the entity 'b'",
    ),
    "no annotation": (
        "../ImageSets/Main/test.txt",
        "000001\n000009\n",
        r"000009\.xml: expected the annotation of a picture, but got No such file",
    ),
    "a place elsewhere": (
        "../ImageSets/Main/test.txt",
        "000001\n../x\n",
        r"test\.txt, line 2: expected the name of a picture, but got '\.\./x'",
    ),
}


@pytest.mark.parametrize("what", WRONG_VOC)
def test_broken_voc_is_told_by_file_and_line(voc, what):
    name, content, told = WRONG_VOC[what]
    (voc / "VOCdevkit" / "VOC2007" / "Annotations" / name).write_text(content)
    with pytest.raises(ManyLabelError, match=told):
        data.load(voc)


# --- ChestX-ray14 ---

TABLE = """Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position
00000001_000.png,Cardiomegaly,0,1,58,M,PA
00000001_001.png,Cardiomegaly|Emphysema,1,1,58,M,PA
00000002_000.png,No Finding,0,2,81,M,PA
00000003_000.png,Hernia|Atelectasis,0,3,81,F,PA
00000004_000.png,Hernia,0,4,81,F,PA
"""


@pytest.fixture
def chest(write, draw, tmp_path):
    for i, line in enumerate(TABLE.splitlines()[1:]):
        draw(f"images_00{i % 2}/images/{line[:16]}", 40 * i)
    write("Data_Entry_2017.csv", TABLE)
    write("train_val_list.txt", "00000002_000.png\n00000001_001.png\n00000001_000.png\n")
    write("test_list.txt", "00000003_000.png")
    return tmp_path


def test_chestxray(chest):
    found = data.load(chest)
    assert found.label_names[::13] == ("Atelectasis", "Hernia")
    assert found.train.Y.dense().nonzero().tolist() == [[1, 1], [1, 10], [2, 1]]
    assert found.test.Y.dense().nonzero().tolist() == [[0, 0], [0, 13]]
    assert numbers(found.train) == [80, 40, 0]
    assert found.train.X.shape[1] == 3
    assert "In neither list: 1 picture." in found.remarks
    (chest / "test_list.txt").unlink()
    assert len(data.load(chest, undivided=True).train) == 5


WRONG_CHEST = {
    "another finding": (
        "Data_Entry_2017.csv",
        TABLE.replace("Emphysema", "Emphysma"),
        "line 3: expected one of 14 findings, but got 'Emphysma'. Did you mean 'Emphysema'",
    ),
    "a picture twice": (
        "Data_Entry_2017.csv",
        TABLE.replace("00000002_000", "00000001_000"),
        "line 4: expected every picture once",
    ),
    "another heading": (
        "Data_Entry_2017.csv",
        TABLE.replace("Image Index", "Image"),
        "line 1: expected the columns Image Index and Finding Labels first",
    ),
    "one cell": (
        "Data_Entry_2017.csv",
        TABLE + "00000009_000.png\n",
        "line 7: expected a picture and its findings",
    ),
    "a picture of no table": (
        "test_list.txt",
        "00000003_000.png\n00000009_000.png\n",
        r"test_list\.txt, line 2: expected a picture of Data_Entry_2017\.csv, but got '00000009_000\.png'",
    ),
}


@pytest.mark.parametrize("what", WRONG_CHEST)
def test_broken_chestxray_is_told_by_file_and_line(chest, what):
    name, content, told = WRONG_CHEST[what]
    (chest / name).write_text(content)
    with pytest.raises(ManyLabelError, match=told):
        data.load(chest)


# --- Atlas of Digital Pathology ---

PATCHES = "Patch Names,E,E.M,E.M.S,C\n" + "".join(
    f"0{i}_a.png_crop_{i}.png,{i % 2},1,0,{i // 3}\n" for i in range(6)
)


@pytest.fixture
def adp(write, draw, tmp_path):
    for i in range(6):
        draw(f"img_res_1um_bicubic/0{i}_a.png_crop_{i}.png", 40 * i)
    write("ADP_EncodedLabels_Release1_Flat.csv", PATCHES)
    (tmp_path / "splits").mkdir()
    for part, rows in (("train", [5, 0]), ("valid", [3]), ("test", [1, 2])):
        np.save(tmp_path / "splits" / f"{part}.npy", np.array(rows))
    return tmp_path


def test_adp(adp):
    found = data.load(adp)
    assert found.label_names == ("E", "C")
    assert numbers(found.train) == [200, 0, 120]
    assert found.validation_rows.tolist() == [2]
    assert ones(found.train) == [[1, 1], [0, 0], [1, 1]]
    assert ones(found.test) == [[1, 0], [0, 0]]
    assert data.load(adp, options={"level": 2}).label_names == ("E", "E.M", "C")
    assert data.load(adp, options={"level": 3}).label_names == ("E", "E.M", "E.M.S", "C")


WRONG_ADP = {
    "another cell": (
        "ADP_EncodedLabels_Release1_Flat.csv",
        PATCHES.replace(",1,1,0,0", ",1,1,0,x", 1),
        "line 3: expected a patch and 4 cells of 0 or 1, but got 'x'",
    ),
    "a cell too few": (
        "ADP_EncodedLabels_Release1_Flat.csv",
        PATCHES + "p.png,1\n",
        "line 8: expected a patch and 4 cells of 0 or 1, but got 2 cells",
    ),
    "another heading": (
        "ADP_EncodedLabels_Release1_Flat.csv",
        PATCHES[6:],
        "line 1: expected the column 'Patch Names', then labels",
    ),
    "no rows": (
        "ADP_EncodedLabels_Release1_Flat.csv",
        PATCHES.splitlines()[0],
        "expected patches and their labels, but got none",
    ),
    "no array": ("splits/test.npy", "1 2", r"test\.npy: expected positions in the table"),
}


@pytest.mark.parametrize("what", WRONG_ADP)
def test_broken_adp_is_told_by_file_and_line(adp, what):
    name, content, told = WRONG_ADP[what]
    (adp / name).write_text(content)
    with pytest.raises(ManyLabelError, match=told):
        data.load(adp)
    np.save(adp / "splits" / "test.npy", np.array([1, 6]))
    (adp / "ADP_EncodedLabels_Release1_Flat.csv").write_text(PATCHES)
    with pytest.raises(ManyLabelError, match=r"test\.npy: expected positions from 0 to 5"):
        data.load(adp)


# --- MIML ---


@pytest.fixture
def miml(draw, tmp_path):
    from scipy.io import savemat

    for i in range(1, 7):
        draw(f"original/{i}.jpg", 30 * i)
    targets = np.where(np.random.default_rng(0).random((3, 6)) < 0.5, 1, -1)
    names = np.array([["desert"], ["sea"], ["trees"]], dtype=object)
    (tmp_path / "processed").mkdir()
    savemat(
        tmp_path / "processed" / "miml data.mat",
        {"targets": targets, "class_name": names, "bags": np.zeros(3)},
    )
    return tmp_path, targets


def test_miml(miml):
    folder, targets = miml
    found = data.load(folder, undivided=True)
    assert found.label_names == ("desert", "sea", "trees")
    assert np.array_equal(ones(found.train), targets.T > 0)
    assert np.abs(np.array(numbers(found.train)) - 30 * np.arange(1, 7)).max() < 3


def test_broken_miml_is_told_by_file(miml):
    from scipy.io import savemat

    path = miml[0] / "processed" / "miml data.mat"
    savemat(path, {"targets": miml[1] * 2, "class_name": np.array(["a", "b", "c"], dtype=object)})
    with pytest.raises(
        ManyLabelError, match=r"miml data\.mat, targets: expected -1 or 1 for 3 labels of each picture"
    ):
        data.load(miml[0])
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(
        ManyLabelError, match=r"miml data\.mat: expected a MATLAB file with targets and class_name"
    ):
        data.load(miml[0])


@pytest.mark.parametrize("name", ["coco", "nuswide", "mirflickr", "voc", "chest", "adp", "miml"])
def test_links_out_of_the_folder_are_refused(name, request, tmp_path, tmp_path_factory):
    request.getfixturevalue(name)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "secret.jpg"
    Image.new("RGB", (9, 9)).save(elsewhere)
    assert format_of_folder(tmp_path) is not None
    for picture in [*tmp_path.rglob("*.jpg"), *tmp_path.rglob("*.png")]:
        picture.unlink()
        picture.symlink_to(elsewhere)
    with pytest.raises(ManyLabelError, match="which lies elsewhere"):
        data.load(tmp_path)
