"""Pictures decoded once for all runs: kept on disk, resumed after a kill, told by name where they cannot be read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from manylabel import data
from manylabel.data.formats import picture_pixels
from manylabel.data.rows import Images, MappedImages
from manylabel.errors import ManyLabelError

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

N = 24


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of the cache, which takes even the smallest album, two pictures a block."""
    monkeypatch.setenv("MANYLABEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(picture_pixels, "IN_MEMORY", 0)
    monkeypatch.setattr(picture_pixels, "_BLOCK", 2 * 3 * 64 * 64)
    return tmp_path / "cache"


def album_in(folder: Path, n: int = N, mode: str = "RGB") -> Path:
    """An album with pictures of noise, half of them in `train.csv`."""
    folder.mkdir()
    for i in range(n):
        shape = (20 + i, 40, 3) if mode == "RGB" else (20 + i, 40)
        pixels = np.random.default_rng(i).integers(0, 255, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"p{i}.png")
    for part, rows in (("train", range(n // 2)), ("test", range(n // 2, n))):
        lines = [f"p{i}.png,{'sea' if i % 2 else 'sky'}" for i in rows]
        (folder / f"{part}.csv").write_text("\n".join(["file,tags", *lines]) + "\n")
    return folder


@pytest.fixture
def album(tmp_path):
    return album_in(tmp_path / "album")


@pytest.fixture
def decoded(monkeypatch):
    """The names of the pictures that were decoded."""
    names = []
    picture = picture_pixels._picture

    def counting(file, options):
        names.append(file.name)
        return picture(file, options)

    monkeypatch.setattr(picture_pixels, "_picture", counting)
    return names


def test_pictures_from_the_cache_are_those_in_memory(album, cache, monkeypatch):
    mapped = data.load(album)
    assert isinstance(mapped.train.X, MappedImages)
    monkeypatch.setattr(picture_pixels, "IN_MEMORY", 1 << 30)
    whole = data.load(album)
    assert type(whole.train.X) is Images
    assert mapped.digest == whole.digest
    assert mapped.remarks == whole.remarks
    assert torch.equal(mapped.test.X.values, whole.test.X.values)


def test_every_picture_is_decoded_once(album, cache, decoded):
    first = data.load(album)
    assert sorted(decoded) == sorted(f"p{i}.png" for i in range(N))
    again = data.load(album)
    assert len(decoded) == N
    assert again.digest == first.digest
    assert len(list((cache / "arrays").iterdir())) == 2


def test_an_album_that_was_moved_is_known(album, cache, decoded):
    first = data.load(album)
    assert data.load(album.rename(album.with_name("elsewhere"))).digest == first.digest
    assert len(decoded) == N


def test_a_picture_that_changed_is_decoded_anew(album, cache):
    first = data.load(album)
    Image.new("RGB", (50, 50), (255, 0, 0)).save(album / "p3.png")
    changed = data.load(album)
    assert changed.digest != first.digest
    assert changed.train.X.values[3].flatten(1).float().mean(1).tolist() == [255, 0, 0]


def test_settings_have_caches_of_their_own(album, cache):
    assert data.load(album).train.X.shape[1:] == (3, 64, 64)
    assert data.load(album, options={"side": 32}).train.X.shape[1:] == (3, 32, 32)
    short = data.load(album, options={"side": 32, "fit": "short"})
    assert any("resized to 32 x 32, cut to the middle square." in remark for remark in short.remarks)
    assert len({data.load(album, options={"side": 32}).digest, short.digest}) == 2


def test_the_shorter_side_fits_and_the_middle_is_kept(tmp_path):
    album = album_in(tmp_path / "wide", 4)
    made = Image.new("RGB", (120, 40))
    made.paste((255, 255, 255), (40, 0, 80, 40))  # the middle third
    for i in range(4):
        made.save(album / f"p{i}.png")
    cut = data.load(album, options={"fit": "short", "side": 16}).train.X.values
    assert (
        cut[..., 1:-1] == 255
    ).all()  # at the border it is blended with what was cut off, as resizing blends
    whole = data.load(album, options={"side": 18}).train.X.values
    assert whole[0, 0, 9].tolist()[:4] == [0] * 4
    assert (whole[0, 0, 9] == 255).sum() in range(4, 9)


def test_grey_pictures_have_one_channel(tmp_path, cache):
    grey = data.load(album_in(tmp_path / "grey", mode="L"))
    assert isinstance(grey.train.X, MappedImages)
    assert grey.train.X.shape == (12, 1, 64, 64)


def test_settings_in_the_card_of_a_folder(album):
    (album / "card.json").write_text('{"read": {"side": 16}}')
    assert data.load(album).train.X.shape[1:] == (3, 16, 16)
    assert data.load(album, options={"side": 24}).train.X.shape[1:] == (3, 24, 24)
    (album / "card.json").write_text('{"read": [16]}')
    with pytest.raises(
        ManyLabelError, match=r"card\.json: expected settings of the reader as an object under 'read'"
    ):
        data.load(album)


WRONG = {
    "another name": ({"sise": 64}, "a setting such as side, fit, unreadable, but got 'sise'. Did you mean 'side'"),
    "a text": ({"side": "large"}, "`options`, 'side': expected a whole number, but got 'large'"),
    "too small": ({"side": 2}, "'side': expected greater than or equal to 8, but got 2"),
    "another fit": ({"fit": "pad"}, "'fit': expected 'square' or 'short', but got 'pad'"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_settings_that_the_reader_does_not_know_are_refused(album, what):
    options, told = WRONG[what]
    with pytest.raises(ManyLabelError, match=told):
        data.load(album, options=options)


def test_readers_refuse_settings_that_are_not_theirs(write, tmp_path):
    path = write("tiny.svm", "1 1:2\n2 1:1\n1 2:1\n2 1:3\n")
    with pytest.raises(
        ManyLabelError, match="expected a setting such as on_disk, features, first, but got 'side'"
    ):
        data.load(path, options={"side": 3})
    np.savez(tmp_path / "tiny.npz", X=np.ones((8, 2)), y=np.eye(8, 2))
    with pytest.raises(ManyLabelError, match="expected no settings of the reader, but got 'side'"):
        data.load(tmp_path / "tiny.npz", options={"side": 3})
    with pytest.raises(ManyLabelError, match="expected no settings of the reader, but got 'side'"):
        data.load("digits", options={"side": 3})


def damaged(album: Path) -> None:
    for name in ("p2.png", "p9.png"):
        whole = (album / name).read_bytes()
        (album / name).write_bytes(whole[: len(whole) // 2])
    (album / "p14.png").write_bytes(b"hello")


def test_damaged_pictures_are_named_all_at_once_and_left_out_on_request(album, cache, decoded):
    damaged(album)
    told = r"train\.csv, line 4: expected pictures.*'p2\.png' \(.*nor 1 other \(p9\.png\).*unreadable=skip"
    with pytest.raises(ManyLabelError, match=told):
        data.load(album)
    n_decoded = len(decoded)
    left = data.load(album, options={"unreadable": "skip"})
    assert len(decoded) == n_decoded  # none of the whole ones is decoded again
    assert (len(left.train), len(left.test)) == (10, 11)
    assert "3 pictures could not be read, and left out." in left.remarks
    assert left.train.Y.dense()[:, 1].tolist() == [i % 2 == 0 for i in range(12) if i not in (2, 9)]


KILLED = """
import sys, time
from manylabel import data
from manylabel.data.formats import picture_pixels
picture_pixels.IN_MEMORY, picture_pixels._BLOCK = 0, 2 * 3 * 64 * 64
picture, n = picture_pixels._picture, 0
def slow(file, options):
    print(file.name, flush=True)
    time.sleep(0.05)
    return picture(file, options)
picture_pixels._picture = slow
data.load(sys.argv[1])
"""


def test_a_kill_in_the_middle_loses_one_block(album, cache, decoded):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    command = [sys.executable, "-c", KILLED, str(album)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        begun = [process.stdout.readline().strip() for _ in range(9)]
        process.send_signal(signal.SIGKILL)
    assert "p8.png" in begun
    found = data.load(album)
    assert sorted(decoded, key=lambda name: int(name[1:-4]))[0] in ("p6.png", "p8.png")
    assert len(found.train) == 12
    assert torch.equal(found.train.X.values, data.load(album).train.X.values)


def test_a_block_of_large_pictures_stays_small(album, cache, monkeypatch):
    """What is in memory at a time is one block, whatever the number of pictures."""
    monkeypatch.setattr(picture_pixels, "_BLOCK", 5 * (3 * 64 * 64 + 9))
    files = [album / f"p{i}.png" for i in range(N)]
    blocks = [len(block) for block in picture_pixels._decoded(files, picture_pixels.PictureOptions())]
    assert blocks == [5, 5, 5, 5, 4]


def test_a_second_load_is_much_faster(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(picture_pixels, "_BLOCK", 16 << 20)
    album = album_in(tmp_path / "many", 12)
    large = np.random.default_rng(0).integers(0, 255, (900, 900, 3), dtype=np.uint8)
    for i in range(12):
        Image.fromarray(large).save(album / f"p{i}.png")
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        data.load(album)
        seconds.append(time.perf_counter() - began)
    assert seconds[0] > 5 * seconds[1]
