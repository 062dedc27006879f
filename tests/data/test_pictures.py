"""Pictures in a folder with a CSV file: found, decoded small, and told by name where they cannot be."""

import struct
import zlib

import numpy as np
import pytest

from manylabel import data
from manylabel.data.formats import picture_pixels
from manylabel.errors import ManyLabelError

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

TAGS = ["sea|sky", "sky", "", "tree|sea", "tree", "sky | tree", "sea", "sky"]


@pytest.fixture
def album(tmp_path):
    """``album(lines, ending="png", mode="RGB")`` puts pictures p0, p1, ... and `labels.csv` into a folder."""

    def make(lines, ending="png", mode="RGB", sub="", n=8, name="labels.csv", size=(96, 32)):
        folder = tmp_path / sub
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(n):
            Image.new(mode, size, 20 * i if mode == "L" else (20 * i, 0, 255)).save(folder / f"p{i}.{ending}")
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path / name

    return make


def tagged(ending="png"):
    return ["file,tags", *(f"p{i}.{ending},{tags}" for i, tags in enumerate(TAGS))]


@pytest.mark.parametrize("sub", ["", "images"])
@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "bmp", "webp", "tif"])
def test_pictures_are_decoded_small(album, ending, sub):
    path = album(tagged(ending), ending, sub=sub)
    dataset = data.load(path)
    assert dataset.train.X.values.shape[1:] == (3, 64, 64)
    assert (len(dataset.train), len(dataset.test)) == (6, 2)
    assert dataset.label_names == ("sea", "sky", "tree")
    counts = dataset.train.Y.label_counts() + dataset.test.Y.label_counts()
    assert counts.tolist() == [3, 4, 3]
    assert "8 pictures of 32 x 96 pixels, resized to 64 x 64." in dataset.remarks
    assert "Tags are separated by '|'." in dataset.remarks
    assert data.load(path.parent).digest == dataset.digest


def test_pixels_are_those_of_the_picture(album):
    path = album(
        [line.replace(".png", "") for line in tagged()], name="train.csv"
    )  # names without their ending
    path.with_name("test.csv").write_text("file,tags\np3,sea\n")
    dataset = data.load(path)
    assert dataset.train.X.values[:, :, 5, 50].tolist() == [[20 * i, 0, 255] for i in range(8)]
    assert dataset.test.X.values[0, :, 63, 0].tolist() == [60, 0, 255]


def test_grey_pictures_have_one_channel(album):
    dataset = data.load(album(tagged(), mode="L"))
    assert dataset.train.X.values.shape[1:] == (1, 64, 64)


def test_a_picture_is_turned_as_its_camera_says(album):
    path = album(tagged("jpg"), "jpg")
    made = Image.new("RGB", (64, 64))
    made.paste((255, 255, 255), (0, 0, 64, 32))  # white above
    exif = made.getexif()
    exif[0x0112] = 3  # upside down
    made.save(path.with_name("p0.jpg"), exif=exif)
    dataset = data.load(path)
    pixels = np.concatenate([dataset.train.X.values, dataset.test.X.values])
    turned = pixels[np.abs(pixels[:, 1].astype(int).mean(axis=(1, 2)) - 127) < 20][0]
    assert turned[:, 2, 2].max() < 20
    assert turned[:, 60, 2].min() > 230


def test_columns_of_0_and_1(album):
    rows = ["name;sea;big sky", *(f"p{i}.png;{i % 2};{int(i > 3)}" for i in range(8))]
    dataset = data.load(album(rows))
    assert dataset.label_names == ("sea", "big sky")
    counts = dataset.train.Y.label_counts() + dataset.test.Y.label_counts()
    assert counts.tolist() == [4, 4]


SEPARATED = {
    "Tags are separated by blanks.": (["a b", "a", "b c", "c a", "c", "b", "a b c", ""], "abc"),
    "Tags are separated by ';'.": (["a;b, c", "a", "b, c", "a ; a", "", "", "a", "a"], ("a", "b, c")),
    "Every cell of tags is one tag.": (["new york", "oslo", "new york", *["rome"] * 5], ("new york", "oslo", "rome")),
}  # fmt: skip


@pytest.mark.parametrize("told", SEPARATED)
def test_what_separates_tags_is_found_out_and_said(album, told):
    cells, names = SEPARATED[told]
    dataset = data.load(album(["file\ttags", *(f"p{i}.png\t{cell}" for i, cell in enumerate(cells))]))
    assert dataset.label_names == tuple(names)
    assert told in dataset.remarks


def lines(**changed):
    rows = tagged()
    for at, line in changed.items():
        rows[int(at[1:])] = line
    return rows


WRONG = {
    "no such file": (lines(_3="p99.png,sea"), "line 4: expected a picture in"),
    "a file elsewhere": (lines(_3="../p0.png,sea"), "line 4: expected a picture in"),
    "a cell too many": (lines(_3="p2.png,sea,sky"), "line 4: expected 2 cells, as line 1 has, but got 3"),
    "one column": (["file", "p0.png"], "line 1: expected a header of at least two columns"),
    "another column": (["file,sea,size", *(f"p{i}.png,1,{i}" for i in range(8))],
                       "line 4, column 'size': expected 0 or 1, but got '2'"),
    "a column twice": (["file,sea,sea", "p0.png,1,0"], "line 1: expected every column once, but got 'sea' twice"),
    "no tags": (["file,tags", *(f"p{i}.png," for i in range(8))], "expected tags in some row, but got none"),
    "an open quote": (lines(_3='p2.png,"sea'), "expected CSV in UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_rows_that_are_wrong_are_named(album, kind):
    rows, told = WRONG[kind]
    with pytest.raises(ManyLabelError) as error:
        data.load(album(rows))
    assert told in str(error.value)
    assert "labels.csv" in str(error.value)


def test_damaged_pictures_are_reported_by_name(album):
    path = album(tagged())
    whole = path.with_name("p2.png").read_bytes()
    path.with_name("p2.png").write_bytes(whole[: len(whole) // 2])
    path.with_name("p5.png").write_bytes(b"hello")
    with pytest.raises(
        ManyLabelError, match=r"labels\.csv, line 4: expected pictures.*'p2\.png' \(.*p5\.png"
    ):
        data.load(path)


def png_of(width, height):
    """A picture of a few bytes that declares as many pixels as one likes."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(8193, 8192), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_by_its_size(album, size):
    path = album(tagged())
    path.with_name("p3.png").write_bytes(png_of(*size))
    with pytest.raises(
        ManyLabelError, match=f"of at most {picture_pixels.MOST_PIXELS} pixels, but got 'p3.png'"
    ):
        data.load(path)


def test_links_out_of_the_folder_are_refused(album, tmp_path):
    path = album(tagged(), sub="in").rename(tmp_path / "in" / "labels.csv")
    Image.new("RGB", (9, 9)).save(tmp_path / "secret.png")
    (tmp_path / "in" / "p3.png").unlink()
    (tmp_path / "in" / "p3.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(
        ManyLabelError, match=r"line 5: expected a picture in .*'p3\.png', which lies elsewhere"
    ):
        data.load(path)
    path.write_text("\n".join(lines(_4="../secret.png,sea")))
    with pytest.raises(ManyLabelError, match=r"'\.\./secret\.png', which lies elsewhere"):
        data.load(path)


def test_a_picture_of_sixteen_bits_is_refused(album):
    path = album(tagged())
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(path.with_name("p1.png"))
    with pytest.raises(ManyLabelError, match=r"'p1\.png' \(more than 8 bits a pixel, mode I"):
        data.load(path)
