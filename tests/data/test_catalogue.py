"""The catalogue: downloads from a server on this machine, local copies, and what goes wrong with either."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import random
import socket
import threading
from dataclasses import replace

import numpy as np
import pytest
from tests.files.test_digests import damaged

from manylabel import data
from manylabel.data import catalogue as catalogue_module
from manylabel.data.build import About, Like
from manylabel.data.cache import cache_folder
from manylabel.data.catalogue import OnlyByHand, catalogue, download, load_entry, parse_catalogue
from manylabel.data.formats.folder import read_folder
from manylabel.data.formats.mulan import read_mulan
from manylabel.data.formats.registry import FORMATS
from manylabel.data.own_rows import read_training_rows
from manylabel.errors import ManyLabelError

pytest.importorskip("pooch")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder and its address."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def entry(served, forms, small):
    """An entry for the small data set, whose files are served."""
    folder, base = served
    X, Y = small
    files = {
        "small.xml": forms["xml"]("abc"),
        "small-train.arff": forms["arff"](X[:8], Y[:8]),
        "small-test.arff": forms["arff"](X[8:], Y[8:]),
    }
    listed = ""
    for name, text in files.items():
        (folder / name).write_text(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        listed += f'[[small.files]]\nname = "{name}"\nbytes = {len(text)}\nsha256 = "{digest}"\n'
    rows = [1, 4]
    expected = read_mulan(folder, About("small"), validation_rows=rows).digest
    told = "".join(
        f'{key} = "{key} of small"\n' for key in ("about", "source", "licence", "reference", "split")
    )
    sizes = f"rows = [8, 4]\nfeatures = 4\nlabels = 3\nvalidation_rows = {rows}\n"
    sizes += f'digest = "{expected}"\nbase = "{base}"\n'
    return parse_catalogue(f"[small]\n{told}{sizes}{listed}")["small"]


def test_entry_is_downloaded_verified_and_kept(tmp_path, entry, served, small):
    dataset = load_entry(entry, tmp_path / "cache")
    np.testing.assert_array_equal(dataset.train.X.values, small[0][:8])
    assert dataset.validation_rows.tolist() == [1, 4]
    assert dataset.licence == "licence of small"
    assert dataset.source == f"source of small, downloaded to {tmp_path / 'cache' / 'small'}"
    for file in served[0].iterdir():
        file.unlink()  # nothing left to download: the second time reads what was kept
    assert load_entry(entry, tmp_path / "cache").digest == dataset.digest


def test_an_entry_has_the_features_of_a_model_or_is_refused(tmp_path, entry):
    names = load_entry(entry, tmp_path).feature_names
    assert load_entry(entry, tmp_path, like=Like(feature_names=names, unlabelled=True)).digest == entry.digest
    with pytest.raises(
        ManyLabelError, match=r"features of the model, in their order, but got .* as feature 1"
    ):
        load_entry(entry, tmp_path, like=Like(feature_names=names[::-1]))


def test_kept_file_that_was_damaged_is_fetched_again(tmp_path, entry):
    folder = download(entry, tmp_path)
    (folder / "small.xml").write_text("damaged")
    assert load_entry(entry, tmp_path).digest == entry.digest


def test_any_damage_to_a_kept_file_is_fetched_again(tmp_path, entry):
    folder, at = download(entry, tmp_path), random.Random(0)
    for _ in range(20):
        path = at.choice(sorted(folder.iterdir()))
        path.write_bytes(damaged(path.read_bytes(), at))
        assert load_entry(entry, tmp_path).digest == entry.digest


def test_file_with_another_digest_is_refused_and_not_kept(tmp_path, entry, served):
    (served[0] / "small-test.arff").write_text("something else")
    with pytest.raises(
        ManyLabelError, match=r"small-test\.arff to have sha256 [0-9a-f]{64}, but got another content"
    ):
        load_entry(entry, tmp_path)
    assert not (tmp_path / "small" / "small-test.arff").exists()


def test_file_that_is_not_there_is_refused(tmp_path, entry, served):
    (served[0] / "small-test.arff").unlink()
    with pytest.raises(ManyLabelError, match=r"to download http.*small-test\.arff, but got HTTP status 404"):
        load_entry(entry, tmp_path)


def test_no_connection_says_what_to_do(tmp_path, entry, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(ManyLabelError, match=r"no answer \(ConnectionError\).*`data_dir` or MANYLABEL_DATA"):
        load_entry(replace(entry, base=f"http://127.0.0.1:{port}/"), tmp_path)


def test_cache_that_cannot_be_written_says_what_to_do(tmp_path, entry):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ManyLabelError, match=r"expected a folder .* to write to.*Name another folder with MANYLABEL_CACHE"
    ):
        load_entry(entry, tmp_path / "file")


def test_files_that_hold_other_rows_than_published_are_refused(tmp_path, entry):
    with pytest.raises(ManyLabelError, match="expected the published small"):
        load_entry(replace(entry, digest="0" * 64), tmp_path)


def test_cache_folder_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("MANYLABEL_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("MANYLABEL_CACHE")
    assert cache_folder().name == "manylabel"


def test_name_is_taken_from_the_local_folder_before_the_network(tmp_path, entry, small, monkeypatch):
    X, Y = small
    monkeypatch.setattr(
        catalogue_module, "catalogue", lambda: {"small": replace(entry, base="http://127.0.0.1:9/")}
    )
    (tmp_path / "small").mkdir()
    arrays = {"X_train": X[:8], "y_train": Y[:8], "X_test": X[8:], "y_test": Y[8:], "val_rows": [1, 4]}
    names = {"label_names": list("abc"), "feature_names": ["f0", "f1", "f2", "f3"]}
    np.savez(tmp_path / "small" / "data.npz", **arrays, **names)
    dataset = data.load("small", data_dir=tmp_path)
    assert dataset.digest == entry.digest
    assert dataset.source == f"source of small, local copy {tmp_path / 'small'}"
    monkeypatch.setenv("MANYLABEL_DATA", str(tmp_path))
    assert data.load("small").source == dataset.source
    np.savez(tmp_path / "small" / "data.npz", **(arrays | {"y_test": 1 - Y[8:]}), **names)
    with pytest.raises(ManyLabelError, match="expected the published small"):
        data.load("small")


def test_shipped_entries_point_at_pinned_files():
    for name in ("scene", "yeast"):
        entry = catalogue()[name]
        assert entry.base.startswith(
            "https://raw.githubusercontent.com/tsoumakas/mulan/43f6389095ad71984264db4387a8074b22bc7d4a/"
        )
        assert sorted(file.name for file in entry.files) == sorted(
            f"{entry.name}{end}" for end in (".xml", "-train.arff", "-test.arff")
        )
    assert len(catalogue()["yeast"].validation_rows) == 300
    for entry in catalogue().values():
        assert all(len(file.sha256) == 64 for file in entry.files)
        assert all(f"/{file.name}" in file.url or entry.base.endswith("/") for file in entry.files)


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_every_shipped_entry_can_be_read_and_says_where_it_is_from(name):
    entry = catalogue()[name]
    assert entry.format in [format.name for format in FORMATS]
    assert entry.files or entry.steps
    assert not (entry.files and entry.steps)
    assert "http" in entry.source
    assert entry.licence
    assert entry.split
    options = next(format.options for format in FORMATS if format.name == entry.format)
    if entry.read:
        options.of(About(name, options=entry.read))


def test_sizes_and_digests_are_those_of_the_cards(shared_data):
    """Every file of the catalogue is one whose digest is on record beside the real data."""
    pins = json.loads((shared_data / "pins.json").read_text())["files"]
    known = {pin["sha256"]: pin["bytes"] for pin in pins.values()}
    known |= {pin["labels_sha256"]: 0 for pin in pins.values()}
    for card in shared_data.glob("*/card.json"):
        files = json.loads(card.read_text())["original_files"]
        known |= {file["sha256"]: file["bytes"] for file in files if "sha256" in file}
    for entry in catalogue().values():
        for file in entry.files:
            assert known[file.sha256] == file.bytes


def test_a_set_that_only_a_person_can_get_tells_the_steps(tmp_path, monkeypatch):
    monkeypatch.setenv("MANYLABEL_CACHE", str(tmp_path / "cache"))
    with pytest.raises(
        OnlyByHand, match=r"(?s)data set coco2014: expected a copy in .*cache/coco2014, but got none"
    ) as error:
        data.load("coco2014")
    lines = error.value.hint.splitlines()
    assert [line[:2] for line in lines[1:]] == ["1.", "2.", "3."]
    assert "http://images.cocodataset.org/annotations/annotations_trainval2014.zip" in lines[1]
    assert lines[3] == f"3. Put it all into {tmp_path / 'cache' / 'coco2014'}."
    with pytest.raises(OnlyByHand, match=r"1\. Agree to: no commercial use"):
        download(catalogue()["bgc"], tmp_path)
    (tmp_path / "bgc").mkdir()
    (tmp_path / "bgc" / "notes.md").write_text("")
    with pytest.raises(
        ManyLabelError, match=r"expected the files of bgc \(.*, but got others\. What belongs there:"
    ):
        data.load("bgc", tmp_path)


def test_a_set_that_a_person_got_is_read_by_its_name(tmp_path):
    for part, rows in (("train", "a\t0\tx\nb\t0,1\tx\n"), ("dev", "c\t1\tx\n"), ("test", "d\t1\tx\n")):
        (tmp_path / "goemotions").mkdir(exist_ok=True)
        (tmp_path / "goemotions" / f"{part}.tsv").write_text(rows)
    (tmp_path / "goemotions" / "labels.txt").write_text("joy\nfear\n")
    found = data.load("goemotions", tmp_path)
    assert found.licence == "CC BY 4.0 (data), Apache-2.0 (repository)"
    assert found.source.endswith(f"local copy {tmp_path / 'goemotions'}")
    assert found.split.startswith("the published train, dev and test files (Demszky")
    (tmp_path / "goemotions" / "card.json").write_text('{"license": "mine", "origin": "my sample"}')
    assert data.load("goemotions", tmp_path).licence == "mine"


def test_an_entry_may_name_settings_of_its_reader(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    folder = tmp_path / "mirflickr25k_38" / "annotations"
    folder.mkdir(parents=True)
    for i in range(1, 9):
        image.new("RGB", (9, 9)).save(folder.parent / f"im{i}.jpg")
    for name in ("plant_life", "sky", "sky_r1"):
        (folder / f"{name}.txt").write_text("1\n3\n6\n8\n")
    assert data.load("mirflickr25k_38", tmp_path).label_names == ("plant_life", "sky", "sky_r1")
    other = {"relevant": False, "side": 8}
    assert data.load("mirflickr25k_38", tmp_path, options=other).label_names == ("plant_life", "sky")


@pytest.mark.parametrize("name", ["yeast", "scene"])
def test_published_set_is_the_same_from_arff_and_from_arrays(shared_data, tmp_path, forms, name):
    """Written as Mulan writes, the arrays give the published files byte for byte, and those the arrays."""
    copy = read_folder(shared_data / name)
    entry, folder = catalogue()[name], tmp_path / name
    published = {file.name: file.sha256 for file in entry.files}
    folder.mkdir()
    assert (len(copy.train), len(copy.test)) == entry.rows
    assert (copy.train.X.shape[1], copy.train.Y.n_labels) == (entry.features, entry.labels)
    for part, rows in (("train", copy.train), ("test", copy.test)):
        text = forms["arff"](rows.X.values.numpy(), rows.Y.dense().numpy().astype(np.uint8))
        text = _renamed(text, copy.feature_names, copy.label_names)
        file = folder / f"{name}-{part}.arff"
        file.write_bytes(text.encode())
        assert hashlib.sha256(file.read_bytes()).hexdigest() == published[file.name]
    (folder / f"{name}.xml").write_text(forms["xml"](sorted(copy.label_names, reverse=True)))
    read = data.load(name, tmp_path)
    assert read.digest == copy.digest == entry.digest
    assert read.label_names == copy.label_names
    np.testing.assert_array_equal(read.train.X.values, copy.train.X.values)
    np.testing.assert_array_equal(read.test.Y.dense(), copy.test.Y.dense())
    if name == "yeast":
        np.testing.assert_array_equal(read.validation_rows, copy.validation_rows)


def _renamed(text: str, features: tuple[str, ...], labels: tuple[str, ...]) -> str:
    lines = text.split("\n")
    start = lines.index("") + 1
    for i, feature in enumerate(features):
        lines[start + i] = f"@attribute {feature} numeric"
    for i, label in enumerate(labels):
        lines[start + len(features) + i] = f"@attribute {label} {{0,1}}"
    return "\n".join(lines)


ENTRY = """[toy]
about = "a"
rows = [1, 2]
features = 3
labels = 4
source = "s"
licence = "l"
reference = "r"
split = "p"
digest = "d"
base = "b"
files = [{name = "toy.xml", bytes = 1, sha256 = "0"}]
"""


def test_entry_is_parsed():
    entry = parse_catalogue(ENTRY)["toy"]
    assert (entry.rows, entry.files[0].name, entry.validation_rows) == ((1, 2), "toy.xml", None)


def test_an_entry_like_another_has_neither_its_rows_nor_its_files():
    steps = 'steps = ["Get {name}."]'
    told = f'{ENTRY}\n[other]\nlike = "toy"\nabout = "c"\n{steps}\n[third]\nlike = "other"\nlabels = 9'
    toy, other, third = parse_catalogue(told).values()
    assert (other.source, other.features, other.about) == (toy.source, 3, "c")
    assert (other.rows, other.labels, other.files, other.digest) == (None, None, (), "")
    assert (third.about, third.steps, third.labels) == ("c", ("Get third.",), 9)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (ENTRY + '[other]\nlike = "ty"\n', "entry 'other'.*'ty'"),
        (ENTRY[:-5], "catalogue: expected TOML"),
        ("toy = 3", "entry 'toy'"),
        (ENTRY.replace('base = "b"\n', ""), "entry 'toy'.*base"),
        (ENTRY + "colour = 3", "entry 'toy'.*colour"),
        (ENTRY.replace("[1, 2]", "5"), "entry 'toy'"),
        (ENTRY.replace("bytes = 1", "size = 1"), "entry 'toy'"),
        (ENTRY[: ENTRY.index("files")], "neither files nor steps of a person"),
        ("a = " + "[" * 10000, "catalogue: expected TOML"),
    ],
)
def test_broken_catalogue_is_refused_by_entry(text, told):
    with pytest.raises(ManyLabelError, match=told):
        parse_catalogue(text)


def test_a_copy_in_another_format_takes_the_settings_of_that_format_alone(tmp_path, small):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    album, vectors = tmp_path / "voc2007_difficult_negative", tmp_path / "coco2014"
    album.mkdir()
    for i in range(8):
        image.new("RGB", (40, 20), (20 * i, 0, 0)).save(album / f"{i}.png")
    (album / "tags.csv").write_text("file,tags\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(8)))
    assert data.load(album.name, tmp_path).train.X.shape[1:] == (3, 64, 64)
    assert data.load(album.name, tmp_path, options={"side": 16}).train.X.shape[1:] == (3, 16, 16)
    model = Like(picture_shape=(3, 24, 24), reading={"fit": "short"})
    of_model = data.load(album.name, tmp_path, like=model)
    assert (of_model.train.X.shape[1:], of_model.reading) == ((3, 24, 24), {"fit": "short"})
    vectors.mkdir()
    np.savez(vectors / "data.npz", X=small[0], y=small[1])
    with pytest.raises(ManyLabelError, match="expected no settings of the reader, but got 'side'"):
        data.load(vectors.name, tmp_path, options={"side": 16})


def test_which_rows_of_a_named_set_are_taken_is_told(tmp_path, small, monkeypatch):
    monkeypatch.setenv("MANYLABEL_DATA", str(tmp_path))
    (tmp_path / "coco2014").mkdir()
    np.savez(tmp_path / "coco2014" / "data.npz", X=small[0], y=small[1])
    drawn = "The training rows of a split that is drawn, as none is published, are taken."
    assert read_training_rows("coco2014").told[-1] == drawn
    parts = {"X_train": small[0], "y_train": small[1], "X_test": small[0], "y_test": small[1]}
    np.savez(tmp_path / "coco2014" / "data.npz", **parts)
    assert read_training_rows("coco2014").told[-1] == "The training rows of the published split are taken."
