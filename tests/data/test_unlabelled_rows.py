"""Rows to be predicted, which need no labels: in every format that a model can be trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from PIL import Image

from manylabel import LabelMatrix, ManyLabelError, methods
from manylabel.data import Like, Rows, load
from manylabel.data.own_rows import are_new_pictures, blocks_of_rows, read_test_rows, schema_of_columns
from manylabel.data.rows import SparseVectors, Vectors
from manylabel.methods.embedding_files import write_embeddings
from manylabel.methods.prediction_files import write_predictions

X = np.arange(12, dtype=np.float32).reshape(4, 3) + 1
LIKE = Like(n_features=3, label_names=("sea", "sky"), unlabelled=True)


def _npz(folder: Path) -> Path:
    np.savez(folder / "new.npz", X=X)
    return folder / "new.npz"


def _hdf5(folder: Path) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "new.h5", "w") as file:
        file["X"] = X
    return folder / "new.h5"


def _scipy(folder: Path) -> Path:
    sp.save_npz(folder / "X.npz", sp.csr_matrix(X))
    return folder / "X.npz"


def _xmc(folder: Path) -> Path:
    rows = [" ".join(f"{j}:{value:g}" for j, value in enumerate(row)) for row in X.tolist()]
    (folder / "trn_X_Xf.txt").write_text("\n".join(["4 3", *rows]) + "\n")
    return folder / "trn_X_Xf.txt"


def _svmlight(folder: Path) -> Path:
    rows = [" " + " ".join(f"{j}:{value:g}" for j, value in enumerate(row)) for row in X.tolist()]
    (folder / "new.svm").write_text("\n".join(rows) + "\n")
    return folder / "new.svm"


def _parquet(folder: Path) -> Path:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    told = {"indices": [[0, 1, 2]] * 4, "values": X.tolist()}
    pq.write_table(pa.table(told), folder / "new.parquet")
    return folder / "new.parquet"


def _arff(folder: Path, beside: str = "") -> Path:
    if beside:
        (folder / "other.xml").write_text(beside)
    head = ["@relation new", *(f"@attribute f{j} numeric" for j in range(3)), "@data"]
    rows = [",".join(f"{value:g}" for value in row) for row in X.tolist()]
    (folder / "new.arff").write_text("\n".join([*head, *rows]) + "\n")
    return folder / "new.arff"


def _arff_beside_the_labels_of_others(folder: Path) -> Path:
    return _arff(folder, '<labels><label name="sea"/><label name="sky"/></labels>')


def _numbers(block: Vectors | SparseVectors) -> np.ndarray:
    return block.csr(torch.float32).toarray() if isinstance(block, SparseVectors) else np.asarray(block)


WRITERS = (_npz, _hdf5, _scipy, _xmc, _svmlight, _parquet, _arff, _arff_beside_the_labels_of_others)


@pytest.mark.parametrize("write", WRITERS)
def test_numbers_need_no_labels(tmp_path: Path, write) -> None:
    path = write(tmp_path)
    blocks = [block for block, names in blocks_of_rows(path, None, rows=3, like=LIKE) if names is None]
    assert [len(block) for block in blocks] == [3, 1]
    assert np.concatenate([_numbers(block) for block in blocks]).tolist() == X.tolist()


@pytest.mark.parametrize("write", WRITERS)
def test_rows_of_no_model_have_one_label_that_none_carries(tmp_path: Path, write) -> None:
    found = load(write(tmp_path), undivided=True, like=Like(unlabelled=True, n_features=3))
    assert (len(found.test), found.label_names, int(found.test.Y.label_counts().sum())) == (
        4,
        ("label 0",),
        0,
    )


@pytest.mark.parametrize("write", WRITERS[:4] + WRITERS[5:])
def test_rows_that_are_measured_need_them(tmp_path: Path, write) -> None:
    path = write(tmp_path)
    with pytest.raises(ManyLabelError, match=r"label|no array y"):
        read_test_rows(path, None, LIKE.label_names, like=Like(n_features=3))
    with pytest.raises(ManyLabelError, match=r"label|no array y"):
        load(path)


def _named(folder: Path, names: list[str]) -> list[Path]:
    """Files that name their features, which are otherwise the same."""
    h5py = pytest.importorskip("h5py")
    head = ["@relation new", *(f"@attribute {name} numeric" for name in names), "@data"]
    (folder / "new.arff").write_text(
        "\n".join([*head, *(",".join(map(str, row)) for row in X.tolist())]) + "\n"
    )
    np.savez(folder / "new.npz", X=X, feature_names=names)
    with h5py.File(folder / "new.h5", "w") as file:
        file["X"], file.attrs["feature_names"] = X, names
    return [folder / "new.arff", folder / "new.npz", folder / "new.h5"]


NAMED = replace(LIKE, feature_names=("length", "weight", "age"))


@pytest.mark.parametrize("form", range(3))
def test_features_with_names_are_those_of_the_model_in_its_order(tmp_path: Path, form: int) -> None:
    path = _named(tmp_path, ["length", "weight", "age"])[form]
    assert [len(block) for block, _ in blocks_of_rows(path, None, like=NAMED)] == [4]
    assert [len(block) for block, _ in blocks_of_rows(path, None, like=LIKE)] == [4]
    path = _named(tmp_path, ["length", "age", "weight"])[form]
    with pytest.raises(
        ManyLabelError, match=r"'age' as feature 2, which is 'weight' in the model\. Put the columns"
    ):
        next(blocks_of_rows(path, None, like=NAMED))
    path = _named(tmp_path, ["length", "weight", "height"])[form]
    with pytest.raises(
        ManyLabelError, match=r"in their order, but got columns without 'age' and with 'height'"
    ):
        next(blocks_of_rows(path, None, like=NAMED))


def test_rows_without_names_of_features_go_by_their_position(tmp_path: Path) -> None:
    assert [len(block) for block, _ in blocks_of_rows(_npz(tmp_path), None, like=NAMED)] == [4]


def test_names_of_features_may_be_any_sequence_of_distinct_ones(tmp_path: Path) -> None:
    path = _named(tmp_path, ["length", "weight", "age"])[1]
    for names in (["length", "weight", "age"], np.array(["length", "weight", "age"])):
        like = replace(LIKE, feature_names=names)
        assert [len(block) for block, _ in blocks_of_rows(path, None, like=like)] == [4]
    with pytest.raises(ManyLabelError, match=r"`like`: expected distinct, .* but got 'age' more than once"):
        replace(LIKE, feature_names=("length", "weight", "age", "age"))


def test_what_a_model_decided_stands_above_the_card_of_a_folder(tmp_path: Path) -> None:
    album = tmp_path / "album"
    album.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (24, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(album / "a.png")
    pictures = Like(unlabelled=True, picture_shape=(3, 16, 16), reading={"fit": "square"})
    plain = load(album, undivided=True, like=pictures).test.X.values
    (album / "card.json").write_text('{"read": {"fit": "short", "side": 32}}')
    assert torch.equal(load(album, undivided=True, like=pictures).test.X.values, plain)
    cut = load(album, undivided=True, options={"fit": "short"}, like=pictures).test.X.values
    assert cut.shape == plain.shape
    assert not torch.equal(cut, plain)
    assert load(album, undivided=True, like=Like(unlabelled=True)).test.X.shape[1:] == (3, 32, 32)


def test_a_category_that_new_rows_do_not_list_is_told(tmp_path: Path) -> None:
    (tmp_path / "new.arff").write_text("@relation new\n@attribute hue {red,blue}\n@data\nred\n")
    like = Like(n_features=3, feature_names=("hue=red", "hue=green", "hue=blue"), unlabelled=True)
    with pytest.raises(ManyLabelError, match=r"got columns without 'hue=green'"):
        next(blocks_of_rows(tmp_path / "new.arff", None, like=like))


def _wrong_labels(folder: Path) -> Iterator[Path]:
    """Files of the same rows whose labels are no labels of a model, or not even labels."""
    np.savez(folder / "new.npz", X=X, y=np.full((3, 5), np.nan), label_names=["q", "q"])
    yield folder / "new.npz"
    sp.save_npz(folder / "Y.npz", sp.csr_matrix(np.full((3, 5), 7)))
    yield _scipy(folder)
    (folder / "trn_X_Y.txt").write_text("3 9\n0:1\n1:1\n2:1\n")
    yield _xmc(folder)
    lines = _svmlight(folder).read_text().splitlines()
    (folder / "new.xmc").write_text("\n".join(["4 3 0", *(f"9{line}" for line in lines)]) + "\n")
    yield folder / "new.xmc"
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    told = {"indices": [[0, 1, 2]] * 4, "values": X.tolist(), "one": [["a"]] * 4, "two": [[1]] * 4}
    pq.write_table(pa.table(told), folder / "new.parquet")
    yield folder / "new.parquet"


def test_labels_of_rows_to_be_predicted_are_not_looked_at(tmp_path: Path) -> None:
    for path in _wrong_labels(tmp_path):
        ((block, _),) = blocks_of_rows(path, None, like=LIKE)
        assert _numbers(block).tolist() == X.tolist(), path.name


@pytest.mark.parametrize("relation", ["new", "'new: -C -2'"])
def test_labels_of_arff_may_be_missing_and_are_known_by_the_names_of_the_model(
    tmp_path: Path, relation: str
) -> None:
    head = [f"@attribute f{j} numeric" for j in range(3)] + [
        f"@attribute {name} {{0,1}}" for name in ("sky", "sea")
    ]
    rows = [",".join([*(f"{value:g}" for value in row), "?", "1"]) for row in X.tolist()]
    path = tmp_path / "new.arff"
    path.write_text("\n".join([f"@relation {relation}", *head, "@data", *rows]) + "\n")
    ((block, _),) = blocks_of_rows(path, None, like=LIKE)
    assert _numbers(block).tolist() == X.tolist()
    with pytest.raises(ManyLabelError, match=r"missing value|label"):
        read_test_rows(path, None, LIKE.label_names)


def test_a_test_file_of_arff_without_labels_stands_beside_one_with_them(tmp_path: Path) -> None:
    _arff(tmp_path).rename(tmp_path / "places-test.arff")
    labelled = _arff(tmp_path).read_text().replace("@data", "@attribute sea {0,1}\n@data").splitlines()
    (tmp_path / "places-train.arff").write_text(
        "\n".join(line + ",1" * line[0].isdigit() for line in labelled)
    )
    told: list[str] = []
    ((block, _),) = blocks_of_rows(tmp_path / "places-test.arff", None, like=LIKE, tell=told.append)
    assert _numbers(block).tolist() == X.tolist()
    assert told == ["The test rows of the published split are taken."]


def test_a_folder_of_texts_needs_no_labels(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text('{"text": "warm sea"}\n{"text": "sky", "labels": ["stone"]}\n')
    ((block, _),) = blocks_of_rows(tmp_path, None, like=LIKE)
    assert list(block.values) == ["warm sea", "sky"]
    (tmp_path / "labels.txt").write_text("sea\n")
    with pytest.raises(ManyLabelError, match=r"a file train.jsonl or train.jsonl.gz, but got none"):
        load(tmp_path)


def test_a_path_that_is_there_goes_before_a_data_set_of_its_name(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scene").mkdir()
    _npz(tmp_path / "scene").rename(tmp_path / "scene" / "data.npz")
    ((block, _),) = blocks_of_rows("scene", None, like=LIKE)
    assert _numbers(block).tolist() == X.tolist()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for i, name in enumerate(("b.png", "a.jpg", "more/c.png")):
        Image.new("RGB", (40, 30), (90 * i, 40, 40)).save(folder / name)
    return folder


def _names(source: Path, **options: object) -> list[str] | None:
    ((_, names),) = blocks_of_rows(source, None, options=options, like=LIKE)
    return names


def test_pictures_need_no_list(photos: Path) -> None:
    assert _names(photos) == ["a.jpg", "b.png", "more/c.png"]
    assert _names(photos / "b.png") == ["b.png"]
    assert are_new_pictures(photos)
    assert are_new_pictures(photos / "b.png")
    (photos / "list.csv").write_text("name\nmore/c.png\na.jpg\n")
    assert not are_new_pictures(photos)
    assert _names(photos) == _names(photos / "list.csv") == ["more/c.png", "a.jpg"]
    (photos / "list.csv").write_text("name,day,tags\na.jpg,3,sea\nb.png,,\n")  # no labels, and not looked at
    assert _names(photos) == ["a.jpg", "b.png"]
    (photos / "b.png").write_bytes(b"no picture")
    with pytest.raises(ManyLabelError, match="line 3: expected pictures that can be read"):
        _names(photos)
    assert _names(photos, unreadable="skip") == ["a.jpg"]


def test_pictures_that_are_measured_need_one(photos: Path, tmp_path: Path) -> None:
    for source in (photos, photos / "b.png"):
        with pytest.raises(ManyLabelError, match=r"expected (files.*Pictures need a CSV file|a file)"):
            load(source, like=Like(label_names=LIKE.label_names))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ManyLabelError, match="an empty folder"):
        _names(empty)


def test_tags_of_measured_pictures_are_the_labels_of_the_model(photos: Path) -> None:
    def read(*tags: str, known: tuple[str, ...] = ("sea", "sky")) -> tuple[list[list[int]], tuple[str, ...]]:
        rows = [f"{name};{tag}" for name, tag in zip(("a.jpg", "b.png"), tags, strict=True)]
        (photos / "list.csv").write_text("\n".join(["name;tags", *rows]) + "\n")
        found = read_test_rows(photos, None, known)
        return found.Y.dense().int().tolist(), found.told

    assert read("sky", "")[0] == [[0, 1], [0, 0]]
    found, told = read("sky|stone", "sea")
    assert found == [[0, 1], [1, 0]]
    assert "Labels that are none of the model are left out: 'stone'." in told
    assert read("sky, blue", "sea", known=("sea", "sky, blue"))[0] == [[0, 1], [1, 0]]  # one tag with a comma
    assert read("sea sky", "")[0] == [[1, 1], [0, 0]]  # blanks, though no word comes again
    assert read("1", "0", known=("0", "1", "7"))[0] == [[0, 1, 0], [1, 0, 0]]  # tags, no column of 0 and 1


def test_what_is_left_out_of_a_folder_of_pictures_is_told(photos: Path) -> None:
    def told() -> list[str]:
        sentences: list[str] = []
        list(blocks_of_rows(photos, None, like=LIKE, tell=sentences.append))
        return [sentence for sentence in sentences if "left out" in sentence]

    hidden = photos / ".thumbnails"
    hidden.mkdir()
    Image.new("RGB", (8, 8)).save(hidden / "a.png")
    for name in ("._a.jpg", ".DS_Store", "Thumbs.db"):
        (photos / name).write_bytes(b"no picture")
    assert (_names(photos), told()) == (["a.jpg", "b.png", "more/c.png"], [])
    (photos / "d.heic").write_bytes(b"no picture that is read")
    (photos / "again").symlink_to(photos / "more")
    assert told() == ["2 files of another kind left out: 'again', 'd.heic'."]
    listed = photos / "predictions.csv"
    listed.write_text("file,labels\na.jpg,sea\n")
    sentences: list[str] = []
    list(blocks_of_rows(listed, None, like=LIKE, tell=sentences.append))
    assert len(sentences) == 1  # of the sizes: who names the file knows what it lists
    assert told() == ["2 files that predictions.csv does not list left out: 'b.png', 'more/c.png'."]


def test_new_pictures_are_no_links_out_of_their_folder(photos: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "elsewhere.png")
    (photos / "d.png").symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(ManyLabelError, match=r"'d.png', a link to elsewhere. Copy the picture"):
        _names(photos)


def test_new_pictures_are_like_those_of_the_model(photos: Path) -> None:
    Image.new("L", (40, 30), 7).save(photos / "grey.png")
    (photos / "list.csv").write_text("name,tags\ngrey.png,sea\n")
    like = replace(LIKE, picture_shape=(3, 16, 16))
    ((block, _),) = blocks_of_rows(photos, None, like=like)
    assert block.form == "shape (3, 16, 16)"
    assert (
        read_test_rows(photos, None, ("sea",), like=Like(picture_shape=(3, 16, 16))).X.form
        == "shape (3, 16, 16)"
    )
    ((block, _),) = blocks_of_rows(photos, None, like=replace(LIKE, picture_shape=(1, 16, 16)))
    assert block.form == "shape (1, 16, 16)"
    ((block, _),) = blocks_of_rows(photos, None, like=like, options={"side": 8})
    assert block.form == "shape (3, 8, 8)"


def test_a_column_of_the_list_names_pictures(photos: Path) -> None:
    (photos / "list.csv").write_text("name,day\nb.png,monday\na.jpg,friday\n")
    for identifier, expected in (("day", ["monday", "friday"]), ("photo", ["b.png", "a.jpg"])):
        ((_, names),) = blocks_of_rows(photos, None, identifier, like=LIKE)
        assert names == expected
    (photos / "b.png").write_bytes(b"no picture")
    ((_, names),) = blocks_of_rows(photos, None, "day", like=LIKE, options={"unreadable": "skip"})
    assert names == ["friday"]


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_embeddings_of_pictures_name_their_files(photos: Path, tmp_path: Path, ending: str) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / f"out{ending}"
    write_embeddings(
        lambda X: np.zeros((len(X), 2), np.float32), blocks_of_rows(photos, None, like=LIKE), path
    )
    if ending == ".npz":
        names = np.load(path)["identifiers"].tolist()
    else:
        names = pytest.importorskip("pyarrow.parquet").read_table(path).column("file").to_pylist()
    assert names == ["a.jpg", "b.png", "more/c.png"]


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_predictions_of_pictures_name_their_files(photos: Path, tmp_path: Path, ending: str) -> None:
    train = load(photos, like=LIKE, undivided=True).train
    rows = Rows(train.X, LabelMatrix.of([[1, 0], [0, 1], [1, 1]]))
    model = methods.get("bce", **{"classify.stage.epochs": 1, "classify.stage.batch": 3}).fit(
        rows, rows, label_names=LIKE.label_names, seed=0
    )
    written = write_predictions(model, blocks_of_rows(photos, None, like=LIKE), tmp_path / f"out{ending}")
    assert (written.rows, written.identifier) == (3, "file")
    assert [name for name, _ in written.first] == ["a.jpg", "b.png", "more/c.png"]
    first = (tmp_path / f"out{ending}").read_text().splitlines()[0]
    assert first.startswith("file,labels" if ending == ".csv" else '{"file": "a.jpg", "labels"')


def test_a_model_of_texts_takes_tables(photos: Path, tmp_path: Path) -> None:
    (photos / "1.png").write_bytes(
        (photos / "b.png").read_bytes()
    )  # the row with this number is none of pictures
    path = tmp_path / "new.csv"
    path.write_text("text\nwarm sea\nblue sky\n")
    schema = schema_of_columns(path, "text")
    assert [list(X.values) for X, _ in blocks_of_rows(path, schema)] == [["warm sea", "blue sky"]]
    path.write_text("id,said,tags\n1,warm sea,sea\n2,blue sky,\n")
    with pytest.raises(
        ManyLabelError, match=r"a column 'text' of the texts.*'id', 'said', 'tags'.*text=COLUMN"
    ):
        schema_of_columns(path, "text")
    with pytest.raises(ManyLabelError, match="Did you mean 'said'"):
        schema_of_columns(path, "text", options={"text": "sayd"})
    with pytest.raises(ManyLabelError, match="no settings of the reader, but got 'side'"):
        schema_of_columns(path, "text", options={"text": "said", "side": 3})
    schema = schema_of_columns(path, "text", options={"text": "said"})
    assert [names for _, names in blocks_of_rows(path, schema, "id")] == [["1", "2"]]
    found = read_test_rows(path, schema, ("sea", "sky"), labels="tags")
    assert found.Y.dense().int().tolist() == [[1, 0], [0, 0]]
    assert schema_of_columns(path, "vectors") is None
    assert schema_of_columns(tmp_path / "new.npz", "text") is None
