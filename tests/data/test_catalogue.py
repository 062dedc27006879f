"""The catalogue: downloads from a server on this machine, local copies, and what goes wrong with either."""

from __future__ import annotations

import functools
import hashlib
import http.server
import socket
import threading
from dataclasses import replace

import numpy as np
import pytest

from manylabel import data
from manylabel.data import catalogue as catalogue_module
from manylabel.data.build import About
from manylabel.data.cache import cache_folder
from manylabel.data.catalogue import catalogue, download, load_entry, parse_catalogue
from manylabel.data.formats.folder import read_folder
from manylabel.data.formats.mulan import read_mulan
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


def test_kept_file_that_was_damaged_is_fetched_again(tmp_path, entry):
    folder = download(entry, tmp_path)
    (folder / "small.xml").write_text("damaged")
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
    assert set(catalogue()) == {"scene", "yeast"}
    for entry in catalogue().values():
        assert entry.base.startswith(
            "https://raw.githubusercontent.com/tsoumakas/mulan/43f6389095ad71984264db4387a8074b22bc7d4a/"
        )
        assert sorted(file.name for file in entry.files) == sorted(
            f"{entry.name}{end}" for end in (".xml", "-train.arff", "-test.arff")
        )
        assert all(len(file.sha256) == 64 for file in entry.files)
    assert len(catalogue()["yeast"].validation_rows) == 300


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


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (ENTRY[:-5], "catalogue: expected TOML"),
        ("toy = 3", "entry 'toy'"),
        (ENTRY.replace('base = "b"\n', ""), "entry 'toy'.*base"),
        (ENTRY + "colour = 3", "entry 'toy'.*colour"),
        (ENTRY.replace("[1, 2]", "5"), "entry 'toy'"),
        (ENTRY.replace("bytes = 1", "size = 1"), "entry 'toy'"),
        ("a = " + "[" * 10000, "catalogue: expected TOML"),
    ],
)
def test_broken_catalogue_is_refused_by_entry(text, told):
    with pytest.raises(ManyLabelError, match=told):
        parse_catalogue(text)
