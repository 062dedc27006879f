"""The cases measure what they say: the slow forms are right, figures stand beside their goals."""

from __future__ import annotations

import sys

import pytest
import torch

from manylabel import losses
from manylabel.benchmarking import losses as bench
from manylabel.benchmarking import measure, problems, table, textbook
from manylabel.cli import main
from manylabel.kernels.loading import compiled

TINY = problems.Shape(24, 40, 6, 8, 2)


QUICK = measure.Effort(rounds=1, shortest=0.0)


def test_textbook_mulsupcon_is_the_loss():
    g = torch.Generator().manual_seed(0)
    x, keys = torch.randn(9, 6).double(), torch.nn.functional.normalize(torch.randn(20, 6).double())
    Y, T = (problems.drawn_labels(n, 5, 2, g) for n in (9, 20))
    got = textbook.mulsupcon(x, Y, keys, T.double(), 0.1)
    torch.testing.assert_close(got, losses.get("mulsupcon", temperature=0.1)(x, Y, keys, T))


def test_textbook_reg_is_the_loss():
    x, P = torch.randn(9, 6).double(), torch.randn(5, 6).double()
    Y = problems.drawn_labels(9, 5, 2, torch.Generator().manual_seed(0))
    torch.testing.assert_close(textbook.reg(x, Y, P, 0.1), losses.get("reg", temperature=0.1)(x, Y, P))


@pytest.mark.parametrize("anisotropic", [False, True])
def test_textbook_kernel_mixture_is_the_loss(anisotropic):
    g = torch.Generator().manual_seed(0)
    means, variances = (
        torch.rand((9, 7, 5) if anisotropic else (9, 5), generator=g).double() for _ in range(2)
    )
    Y = problems.drawn_labels(9, 5, 2, g)
    got = textbook.kernel_contrastive(means, 1 + variances, Y, 7, 0.2)
    torch.testing.assert_close(
        got, losses.KMCL(temperature=0.2).contrastive(means, 1 + variances, Y, n_features=7).value
    )


def test_labels_are_as_frequent_as_asked():
    g = torch.Generator().manual_seed(0)
    drawn, listed = problems.drawn_labels(4000, 30, 3, g), problems.listed_labels(4000, 5000, 5, g)
    assert abs(float(drawn.sum(1).float().mean()) - 3) < 0.3
    assert bool(drawn.any(1).all())
    assert int(listed.row_counts().max()) == 5


@pytest.mark.parametrize(
    "case",
    [
        bench.Case("", problems.with_keys, TINY, faster=1, floors=1, threads=1),
        bench.Case("", problems.with_keys_and_many_labels, TINY),
        bench.Case("", lambda s: problems.in_batch("any", s), TINY, floors=1),
        bench.Case("", lambda s: problems.with_prototypes(s, slow=True), TINY, faster=1),
        bench.Case("", lambda s: problems.kernel_mixture(s, anisotropic=True), TINY, faster=1),
        bench.Case("", problems.with_keys, TINY, exact=False, grows=True),
    ],
)
def test_every_goal_gives_a_row(case, monkeypatch):
    monkeypatch.setitem(bench.CASES, "tiny", case)
    rows = list(bench.rows(["tiny"], [1, 1], QUICK))
    assert any("compiled" in row.what for row in rows) == (compiled() is not None)
    assert {row.case for row in rows} == {"tiny"}
    assert all(row.measured == row.measured for row in rows)
    assert all(row.met for row in rows if "float64" in row.what)
    assert len(list(table.markdown(rows))) == len(rows) + 4


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_that_of_one_call():
    assert measure.extra_bytes(lambda: torch.ones(1 << 22)) == pytest.approx(1 << 24, rel=0.1)


def test_command_prints_the_table(capsys, monkeypatch):
    monkeypatch.setattr(bench, "CASES", {"tiny": bench.Case("", problems.with_keys, TINY, floors=1)})
    for arguments in ([], ["--markdown", "--threads", "1"]):
        with pytest.raises(SystemExit) as end:
            main(["bench", "losses", *arguments])
        assert not end.value.code
        assert "tiny" in capsys.readouterr().out


def test_unknown_cases_and_threads_are_told(capsys):
    for arguments, message in (
        (["nope"], "cases among mulsupcon-64"),
        (["--threads", "0"], "at least 1"),
    ):
        with pytest.raises(SystemExit) as end:
            main(["bench", "losses", *arguments])
        assert end.value.code == 2
        assert message in capsys.readouterr().err
