"""`manylabel data describe NAME`: facts, a paper's table beside them, the steps to files, and settings of readers."""

from __future__ import annotations

import re

import pytest
from tests.test_cli import call


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MANYLABEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


def rows_of(text):
    """First cell -> the others of a printed table."""
    cells = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]
    return {row[0]: row[1:] for row in cells if len(row) > 1}


def test_a_set_that_is_not_there_is_told_with_the_steps(capsys):
    assert call("data", "describe", "nuswide") == 0
    told = capsys.readouterr().out
    rows = rows_of(told)
    assert rows["training rows"] == ["150000"]  # the later of both tables
    assert "161789" in told
    assert rows["licence"] == ["research use"]
    assert "1. Download the ground truth" in told
    assert call("data", "get", "nuswide") == 2
    assert "1. Download the ground truth" in capsys.readouterr().err


def test_what_has_to_be_agreed_to_comes_first(capsys):
    assert call("data", "describe", "bgc") == 0
    told = capsys.readouterr().out
    assert rows_of(told)["to agree to"] == ["no commercial use (CC BY-NC 4.0)"]
    assert "1. Agree to: no commercial use" in told
    assert "table 1" not in told


def test_the_table_of_the_paper_stands_beside_what_was_read(shared_data, capsys):
    assert call("data", "describe", "delicious", "--data-dir", shared_data) == 0
    told = capsys.readouterr().out
    rows = rows_of(told[told.index("statistic") :])
    assert rows["training rows"] == ["12920", "12886"]
    assert rows["test rows"] == ["3185", "3181"]
    assert rows["rows with a label"] == ["12910 / 3181"]
    assert rows["labels a test row"] == ["18.9102", "18.94"]
    assert "Multi-Label Supervised Contrastive Learning, AAAI 2024" in told


def test_settings_of_the_reader(tmp_path, capsys):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    for i in range(8):
        image.new("RGB", (9, 9)).save(tmp_path / f"{i}.png")
    lines = ["file,tags", *(f"{i}.png,{'sea' if i % 2 else 'sky'}" for i in range(8))]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    assert call("data", "describe", f"{tmp_path}/", "--read", "side=16", "--read", "fit=short") == 0
    assert "pictures of 16 x 16 pixels" in capsys.readouterr().out
    assert call("data", "describe", f"{tmp_path}/", "--read", "side") == 2
    assert "expected settings as NAME=VALUE, but got 'side'" in capsys.readouterr().err
    assert call("data", "describe", f"{tmp_path}/", "--read", "size=16") == 2
    assert "'size'. Did you mean 'side'" in capsys.readouterr().err
