"""Variants of methods: how they are read and written, and that each is a run of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.study.small_study import TINY, Told, plan

from manylabel.errors import ManyLabelError
from manylabel.study import StudyFolder, run
from manylabel.study.variants import Variant, split


@pytest.mark.parametrize(
    ("text", "method", "settings"),
    [
        ("bce", "bce", {}),
        ("mulsupcon[pretrain.temperature=0.2]", "mulsupcon", {"pretrain.temperature": 0.2}),
        (" bce[ a.b = true , c=sgd,d=null]", "bce", {"a.b": True, "c": "sgd", "d": None}),
        ("bce[vectors.encoder.widths=[64,32],x=1]", "bce", {"vectors.encoder.widths": [64, 32], "x": 1}),
    ],
)
def test_a_variant_is_a_method_and_settings(text: str, method: str, settings: dict[str, object]) -> None:
    variant = Variant.parse(text)
    assert (variant.method, variant.settings) == (method, settings)
    assert Variant.parse(str(variant)) == variant


def test_values_have_one_spelling() -> None:
    assert str(Variant.parse("bce[lr=1e-3, w=[1, 2]]")) == "bce[lr=0.001,w=[1,2]]"


def test_commas_in_brackets_do_not_part() -> None:
    assert split("bce, asl[a=[1,2],b=3],, zlpr") == ["bce", "asl[a=[1,2],b=3]", "zlpr"]


@pytest.mark.parametrize(
    "text", ["[a=1]", "bce[", "bce[]", "bce[a]", "bce[a=1", "bce[a=x/y]", "bce[a=%s]" % ("9" * 220)]
)
def test_what_is_no_variant_is_refused(text: str) -> None:
    with pytest.raises(ManyLabelError, match="`method`: expected"):
        Variant.parse(text)


def test_each_variant_is_a_run_of_its_own(tiny_data: Path, tmp_path: Path) -> None:
    slow, fast = "bce[classify.stage.lr=0.001]", "bce[classify.stage.lr=0.1]"
    asked = plan(
        tiny_data, tmp_path / "out", methods=(slow, fast), seeds=(0,), settings={slow: TINY, fast: TINY}
    )
    assert run(asked, Told()) == []
    runs = StudyFolder(tmp_path / "out").finished_runs()
    assert [record.method for record in runs] == [slow, fast]
    assert [record.settings["classify.stage.lr"] for record in runs] == [0.001, 0.1]
    assert [record.settings["classify.stage.epochs"] for record in runs] == [3, 3]
    assert runs[0].evaluations != runs[1].evaluations


def test_a_setting_is_given_once(tmp_path: Path) -> None:
    method = "bce[classify.stage.lr=0.1]"
    with pytest.raises(ManyLabelError, match=r"`settings`: expected settings that bce\[.*\] does not name"):
        plan(tmp_path, tmp_path, methods=(method,), settings={method: {"classify.stage.lr": 1}})
