"""Plain equations as LaTeX, as MathML, and where docstrings have them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from tests.docs.pages import DOCS


@pytest.fixture
def equations(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the site, whose folder is no package."""
    monkeypatch.syspath_prepend(str(DOCS / "rendering"))
    for name in ("equations", "plain_maths"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import equations

    assert Path(equations.__file__).parent == DOCS / "rendering"
    return equations


@pytest.mark.parametrize(
    ("plain", "latex"),
    [
        ("L = (1/n_j) sum_{j in y_i} s_ij / tau", r"L = \frac{1}{n_{j}} \sum_{j \in y_{i}} s_{ij} / \tau"),
        ("J = |y_i and y_a| / |y_i or y_a|", r"J = | y_{i} \cap y_{a} | / | y_{i} \cup y_{a} |"),
        ("(1/|A(i)|) x", r"\frac{1}{| A ( i ) |} x"),
        ("(1 - p)^gamma_pos", r"( 1 - p )^{\gamma_{\text{pos}}}"),
        ("g+ - 1.5e-8", r"g^{+} - 1.5 \cdot 10^{-8}"),
        ("sum_{c not in y_i} exp(-x_ic)", r"\sum_{c \notin y_{i}} \operatorname{exp} ( - x_{ic} )"),
        ("{a : class of a = class of i}", r"\{ a :\; \text{ class of } a = \text{ class of } i \}"),
        ("P_i = candidates that share a label", r"P_{i} = \text{ candidates that share a label}"),
        ("z_i . p_c >= lse_i", r"z_{i} \cdot p_{c} \ge \mathrm{lse}_{i}"),
    ],
)
def test_a_plain_equation_as_latex(equations: ModuleType, plain: str, latex: str) -> None:
    assert equations.latex(plain) == latex


def test_a_line_is_drawn_in_its_parts(equations: ModuleType) -> None:
    drawn = equations.mathml("a = b,   c = d\n\nL   = e < f\n")
    assert drawn.count("<div>") == 2
    assert [f'alttext="{part}"' in drawn for part in ("a = b,", "c = d", "L   = e &lt; f")] == [True] * 3
    assert "<mfrac>" in equations.mathml("(1/n_j) x")


def test_an_object_without_an_equation_is_an_error(equations: ModuleType) -> None:
    assert "lse_i" in equations.equations_of("manylabel.losses.SupCon")
    with pytest.raises(ValueError, match=r"the docstring of manylabel\.losses\.names has no equation"):
        equations.equations_of("manylabel.losses.names")
