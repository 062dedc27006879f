"""Work on tiles in float32 against the formula of each kernel in float64."""

import pytest
import torch

from manylabel.kernels import torch_ops

shapes = pytest.mark.parametrize("shape", [(1, 1), (3, 7), (64, 130)], ids=str)
SELF_EXPONENT = -1e30


@pytest.fixture
def draw():
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, generator=generator)


def exponents(draw, m, n):
    s = 12 * draw(m, n)
    s[0, 0] = SELF_EXPONENT
    return s


def assert_sums(got, want):
    torch.testing.assert_close(got.double(), want, rtol=2e-6, atol=2e-6 * float(want.abs().max()) + 1e-30)


@shapes
def test_powers(draw, shape):
    m, n = shape
    s, sums, columns = exponents(draw, m, n), draw(m), draw(n)
    powers = s.double().exp2()
    want, of_columns = sums + powers.sum(1), columns + powers.sum(0)
    tile, rows = s.clone(), sums.clone()
    torch_ops.add_powers(tile, rows)
    assert_sums(tile, powers)
    assert_sums(rows, want)
    for wanted in (columns.clone(), None):
        rows = sums.clone()
        torch_ops.add_powers_both(s.clone(), rows, wanted)
        assert_sums(rows, want)
        if wanted is not None:
            assert_sums(wanted, of_columns)


def test_each_power_is_right_to_the_last_digits_and_nan_stays():
    x = torch.cat([torch.linspace(-125, 120, 100_000), torch.tensor([-1e30, torch.nan])])[None]
    fast = x.clone()
    torch_ops.add_powers(fast, torch.zeros(1))
    exact = x.double().exp2()
    error = (fast.double() - exact).abs() / exact.clamp(min=1e-30)
    assert float(error[0, :-2].max()) < 2e-7
    assert float(fast[0, -2]) < 1e-37
    assert fast[0, -1].isnan()


@shapes
def test_rows_without_their_direction(draw, shape):
    """What is left is a thousandth of what was taken off; a row of zeros has no direction."""
    z = draw(*shape)
    z[0] = 0
    g, factors = 1000 * z + draw(*shape), draw(shape[0])
    exact, unit = g.double(), z.double()
    exact -= unit * (exact * unit).sum(1, keepdim=True) / (unit * unit).sum(1, keepdim=True).clamp(min=1e-30)
    got = torch_ops.project_rows(g.clone(), z, factors)
    torch.testing.assert_close(got.double(), factors[:, None] * exact, rtol=1e-5, atol=1e-3)
    assert float(torch.linalg.vecdot(got.double(), unit).abs().max()) <= 1e-4 * shape[1] ** 0.5


@shapes
def test_slopes(draw, shape):
    m, n = shape
    s, w, rows, columns = exponents(draw, m, n), draw(m, n), draw(m), draw(n)
    both = (rows[:, None] + columns).double()
    assert_sums(torch_ops.softmax_slopes(s.clone(), rows, columns), s.double().exp2() * both)
    assert_sums(
        torch_ops.subtract_weights(s.clamp(-9, 9), w, rows, columns), s.clamp(-9, 9).double() - w * both
    )


@shapes
@pytest.mark.parametrize("with_columns", [True, False])
def test_sums_of_weights(draw, shape, with_columns):
    m, n = shape
    s, w = 12 * draw(m, n), draw(m, n).relu()
    of_rows, of_columns = (draw(m), draw(m)), (draw(n), draw(n))
    tiles = w.double(), w.double() * s
    want = [line + tile.sum(1) for line, tile in zip(of_rows, tiles, strict=True)]
    want += [line + tile.sum(0) for line, tile in zip(of_columns, tiles, strict=True)]
    torch_ops.add_weights(s, w, of_rows, of_columns if with_columns else None)
    for got, exact in zip((*of_rows, *of_columns) if with_columns else of_rows, want, strict=False):
        assert_sums(got, exact)


@shapes
@pytest.mark.parametrize("regularised", [True, False])
@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize("with_columns", [True, False])
def test_asymmetric_slopes(draw, shape, regularised, bounded, with_columns):
    m, n = shape
    s, there, back = exponents(draw, m, n), draw(m, n).relu(), draw(m, n).relu()
    there[0, 0] = back[0, 0] = 0
    (lse, u, g), (lse_of, u_of, g_of) = ([9 + draw(k), draw(k), draw(k)] for k in (m, n))
    row_scores, column_scores = draw(m), draw(n) if with_columns else None
    p, q = (s.double() - lse[:, None]).exp2(), (s.double() - lse_of).exp2()
    w, v = there.double(), back.double()
    if regularised:
        w, v = (torch.where(x > 0, torch.maximum(x, y), 0.0) for x, y in ((w, p), (v, q)))
    slopes = u[:, None] * p + u_of * q - g[:, None] * w - g_of * v
    score = row_scores + (w * s).sum(1)
    score_of = None if column_scores is None else column_scores + (v * s).sum(0)
    mass, mass_of = ((-line).exp2() if bounded else line for line in (lse, lse_of))
    rows, columns = [mass, u, g], [mass_of, u_of, g_of]
    got = torch_ops.asymmetric_slopes(
        s, there, back, rows, columns, row_scores, column_scores, bounded, regularised
    )
    assert_sums(got, slopes)
    assert_sums(row_scores, score)
    if column_scores is not None:
        assert_sums(column_scores, score_of)


def test_row_norms(draw):
    x = draw(50, 33)
    for dtype in (torch.float32, torch.float64):
        norms = torch_ops.row_norms(x, dtype)
        assert norms.dtype == dtype
        torch.testing.assert_close(norms.double(), x.double().square().sum(1).sqrt(), rtol=1e-6, atol=1e-6)
