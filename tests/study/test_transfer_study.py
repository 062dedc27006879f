"""Transfer as a study: encoders of one data set taken to another, cell by cell, with a table like Table 7."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.study.small_study import TINY, TINY_PRETRAINING, Told, plan, write_rows
from tests.test_cli import call

from manylabel import data
from manylabel.errors import ManyLabelError
from manylabel.study import Plan, StudyFolder, run, write_report
from manylabel.study.executors.base import Failed
from manylabel.study.report import transfer_page
from manylabel.study.rerun import rerun
from manylabel.study.transfer import SCRATCH, Place, Transfer

PROBE, TUNE = "bce[classify.encoder_rate=0]", "bce[classify.encoder_rate=0.1]"
TRAINED = {name: value for name, value in TINY.items() if name != "vectors.encoder.widths"}
"""For an encoder that a model brings."""
PRETRAINED = "mulsupcon[classify.encoder_rate=0]"


def weights(folder: StudyFolder, method: str, seed: int) -> torch.Tensor:
    scorer = folder.model(method, seed).scorer
    return torch.cat([p.flatten() for p in scorer.encoder.parameters()])  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Transfer:
    """A finished transfer both ways between two small data sets."""
    folder = tmp_path_factory.mktemp("transfer")
    pair = str(write_rows(folder / "one.npz")), str(write_rows(folder / "two.npz", n_labels=3, seed=1))
    made = Transfer(
        pairs=(pair, pair[::-1]),
        out=folder / "runs",
        ways=("probe", "finetune"),
        seeds=(0, 1),
        settings={"bce": TINY, "mulsupcon": TINY | TINY_PRETRAINING},
        rows=60,
        jobs=1,
    )
    assert run(made.plan, Told()) == []
    return made


def test_every_seed_starts_from_the_model_with_its_seed(asked: Transfer) -> None:
    source = StudyFolder(asked.out / "one-50-percent")
    for method, name in (("bce", "bce"), ("mulsupcon", PRETRAINED)):
        target = StudyFolder(asked.out / f"two-50-percent-from-one-50-percent-{name}")
        for seed in (0, 1):
            first = weights(source, name, seed)
            assert torch.equal(weights(target, PROBE, seed), first), method
            assert not torch.equal(weights(target, TUNE, seed), first)
    assert not torch.equal(weights(source, "bce", 0), weights(source, "bce", 1))
    assert target.record().title.endswith(f"starting from the models of {source.path / PRETRAINED}")


def test_the_table_has_every_encoder_and_the_network_from_scratch(asked: Transfer) -> None:
    found = asked.results
    assert not found.missing
    places = [(place.method, place.way) for place in found.groups if place.target == "two"]
    taken = [(method, way) for way in ("probe", "finetune") for method in ("bce", "mulsupcon")]
    assert places == [*taken, (SCRATCH, "")]
    written = transfer_page.write(asked, "manylabel transfer one two")
    page = written.path.read_text("utf-8")
    values = (asked.out / "values.csv").read_text("utf-8")
    place = Place("one", "two", "mulsupcon", "probe")
    assert str(found.summary(place, "map")) in page
    assert "one,two,mulsupcon,probe,0,learnt,map," in values
    assert "manylabel transfer one two" in page
    assert len(written.tables[0].rows) == 10
    by = found.difference(place, place._replace(method="bce"), "map")
    assert by is not None
    assert f"{by.mean:+.3f}" in written.tables[1].rows[0][1].text


def test_the_report_of_a_transfer_is_refused_and_loses_nothing(
    asked: Transfer, capsys: pytest.CaptureFixture[str]
) -> None:
    transfer_page.write(asked, "manylabel transfer one two")
    before = {path: path.read_bytes() for path in asked.out.rglob("*") if path.is_file()}
    with pytest.raises(ManyLabelError, match="the folder of a study, but got that of a transfer"):
        write_report(asked.out)
    assert call("report", str(asked.out), "--examples") == 2
    assert "The same transfer again writes its page" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in asked.out.rglob("*") if path.is_file()} == before


def test_the_same_transfer_again_trains_nothing(asked: Transfer) -> None:
    told = Told()
    assert run(asked.plan, told) == []
    assert {event.earlier for event in told.outcomes()} == {True}


def test_a_run_starts_from_another_one_and_says_so(asked: Transfer, tmp_path: Path) -> None:
    start = str(asked.out / "one-50-percent" / "bce")
    again = plan(
        Path(asked.pairs[0][1]), tmp_path / "out", methods=("bce",), settings={"bce": TRAINED}, start=start
    )
    assert again.asked["start"] == start
    assert run(again, Told()) == []
    assert again.folder.record().start == start
    others = plan(Path(asked.pairs[0][1]), tmp_path / "out", methods=("bce",), settings={"bce": TINY})
    with pytest.raises(ManyLabelError, match="a study with `start` none, but got one of two, starting from"):
        run(others, Told())


def test_a_start_that_was_trained_anew_is_not_taken_for_the_one_before(
    asked: Transfer, tmp_path: Path
) -> None:
    one, two = (Path(name) for name in asked.pairs[0])
    how = {"methods": ("bce",), "seeds": (0,), "settings": {"bce": TINY}}
    first = plan(one, tmp_path / "first", **how)
    begins = {"settings": {"bce": TRAINED}, "start": str(first.out / "bce")}
    second = plan(two, tmp_path / "second", **how | begins)
    assert run(first, Told()) == run(second, Told()) == []
    told = Told()
    assert run(second, told) == []
    assert [event.earlier for event in told.outcomes()] == [True]
    shutil.rmtree(first.out)
    assert run(second, Told()) == []  # what is not there is not another one
    more = {"settings": {"bce": TINY | {"classify.stage.epochs": 2}}}
    assert run(plan(one, first.out, **how | more), Told()) == []
    cell = second.out / "bce" / "seed-0"
    before = (cell / "run.json").read_bytes()
    with pytest.raises(ManyLabelError, match="bce seed 0 there with the model that it starts from as it was"):
        run(second, Told())
    with pytest.raises(
        ManyLabelError, match="the model that it starts from as it was, but got one trained anew"
    ):
        rerun(cell)
    assert (cell / "run.json").read_bytes() == before
    shutil.rmtree(cell)
    assert run(second, Told()) == []
    assert torch.isfinite(weights(second.folder, "bce", 0)).all()
    assert (cell / "run.json").read_bytes() != before


@pytest.mark.parametrize("name", ["encoder.widths", "vectors.encoder.widths", "encoder.weights"])
def test_settings_of_an_encoder_are_refused_beside_a_start(tmp_path: Path, name: str) -> None:
    for method, settings in (("bce", {name: "x"}), (f"bce[{name}=x]", {})):
        asked = {"methods": (method,), "settings": {method: settings}, "start": "runs/one/bce"}
        with pytest.raises(ManyLabelError, match=f"none of the encoder beside `start`, but got {name}"):
            plan(Path("two.npz"), tmp_path, **asked)


def test_the_settings_of_a_target_ask_for_it_again(asked: Transfer) -> None:
    for study in asked.plan.studies:
        told = study.asked
        again = Plan.grid(**told | {"out": Path(told["out"])})
        assert again.cells == study.cells


def test_a_seed_without_a_model_fails_alone(asked: Transfer, tmp_path: Path) -> None:
    start = str(asked.out / "one-50-percent" / "bce")
    cells = plan(
        Path(asked.pairs[0][1]),
        tmp_path,
        methods=("bce",),
        settings={"bce": TRAINED},
        start=start,
        seeds=(0, 7),
    )
    [failed] = run(cells, Told())
    assert isinstance(failed, Failed)
    assert failed.by_input
    assert failed.key.seed == 7
    assert "seed-7/model: expected a model folder, but got no such folder" in failed.message


def test_a_transfer_without_sense_is_refused_before_training(asked: Transfer, tmp_path: Path) -> None:
    one = asked.pairs[0][0]
    for changes, match in (
        ({"pairs": ((one, one),)}, "two data sets of different names"),
        ({"ways": ("probing",)}, "probe or finetune, but got 'probing'"),
        ({"ways": ()}, "probe or finetune, but got none"),
        ({"seeds": ()}, "`seeds`: expected at least 1"),
        ({"rows": 0}, "`rows`: expected at least 1"),
    ):
        with pytest.raises(ManyLabelError, match=match):
            Transfer(**{"pairs": asked.pairs, "out": tmp_path, **changes})  # type: ignore[arg-type]
    with pytest.raises(ManyLabelError, match=r"two sets of images, but got .*one\.npz, one of vectors"):
        Transfer((("digits", one),), tmp_path).plan  # noqa: B018
    for method in ("logistic_regression", "best", "lamp", "boomer[folds=2]"):
        with pytest.raises(ManyLabelError, match="methods that train an encoder, but got") as refused:
            Transfer(asked.pairs, tmp_path, methods=("bce", method)).plan  # noqa: B018
        assert refused.value.got == method
        named = refused.value.hint.removeprefix("Take some of ").partition(", or")[0].split(", ")
        assert {"bce", "mulsupcon", "kmcl", "reg"} <= set(named)
        assert not {"best", "lamp", "text_bce"} & set(named)  # of vectors, on which text_bce is not defined
        Transfer(asked.pairs, tmp_path, methods=named).plan  # noqa: B018


def test_larger_training_parts_are_cut(asked: Transfer) -> None:
    assert {cell.fraction for cell in asked.plan.cells} == {0.5}
    whole = Transfer(asked.pairs, asked.out, rows=1000)
    assert {cell.fraction for cell in whole.plan.cells} == {1.0}
    assert len(data.load(asked.pairs[0][0]).train) == 120
    assert np.isclose(0.5 * 120, 60)
