"""KMCL's compiled rows against torch's tiles and the float64 twin."""

import numpy as np
import pytest
import torch

from manylabel.kernels.loading import without_compiled
from manylabel.labels import as_labels
from manylabel.losses.kmcl.contrastive import PairKernel, _Compiled, kernel_pairs_dense, kernel_pairs_streamed

numba = pytest.importorskip("numba", reason="compiled rows need the extra 'fast'")

from manylabel.kernels import numba_cpu  # noqa: E402


@pytest.fixture
def draw():
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, generator=generator)


def computed(function, mu, variance, g, dtype, *arguments):
    """Values and gradients of means and variances."""
    leaves = [x.to(dtype).requires_grad_() for x in (mu, variance)]
    values = function(*leaves, *arguments)
    return [values.detach(), *torch.autograd.grad(values, leaves, g.to(dtype))]


@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize("anchors", [slice(0, 37), slice(5, 20)])
@pytest.mark.parametrize(
    ("factor", "temperature", "spread"), [(1024.0, 0.17, 0.05), (0.5, 0.17, 2.0), (64.0, 0.02, 0.2)]
)
def test_the_same_as_tiles_and_as_the_equation(draw, uniform, anchors, factor, temperature, spread):
    n, n_labels = 37, 9
    mu, variance = spread * draw(n_labels, n, 1), (spread * draw(n_labels, n, 1)).exp()
    Y = as_labels(draw(n, n_labels) > 0.5)
    kernel = PairKernel(factor, temperature)
    assert _Compiled.fits(mu, kernel)
    length = anchors.stop - anchors.start
    g = torch.full((length,), 0.7) if uniform else draw(length)
    exact = computed(kernel_pairs_dense, mu, variance, g, torch.float64, Y, kernel, anchors)
    streamed = Y, kernel, anchors, uniform
    fast = computed(kernel_pairs_streamed, mu, variance, g, torch.float32, *streamed)
    with without_compiled():
        tiled = computed(kernel_pairs_streamed, mu, variance, g, torch.float32, *streamed)
    for found, slow, want in zip(fast, tiled, exact, strict=True):
        scale = float(want.abs().max())
        torch.testing.assert_close(found.double(), want, rtol=5e-6, atol=5e-6 * scale)
        torch.testing.assert_close(found, slow, rtol=5e-6, atol=5e-6 * scale)


def test_errors_with_as_many_features_as_in_a_network(draw):
    n, n_labels = 128, 20
    mu, variance = 0.05 * draw(n_labels, n, 1), 1 + 0.05 * draw(n_labels, n, 1).sigmoid()
    Y, kernel = as_labels(draw(n, n_labels) > 1), PairKernel(1024.0, 0.17)
    arguments = Y, kernel, slice(0, n)
    exact = computed(kernel_pairs_dense, mu, variance, torch.ones(n), torch.float64, *arguments)
    fast = computed(kernel_pairs_streamed, mu, variance, torch.ones(n), torch.float32, *arguments, True)
    assert abs(float(fast[0].double().sum() / exact[0].sum()) - 1) < 2e-7
    for found, want in zip(fast[1:], exact[1:], strict=True):
        assert float((found - want).norm() / want.norm()) < 5e-6


def test_logarithms_are_right_to_the_last_digits():
    @numba.njit
    def logarithms(x, log, log1p):
        for i in range(len(x)):
            log[i], log1p[i] = numba_cpu._log(x[i]), numba_cpu._log1p(x[i])

    x = torch.logspace(-30, 30, 200_001)
    log, log1p = torch.empty_like(x), torch.empty_like(x)
    logarithms(x.numpy(), log.numpy(), log1p.numpy())
    wide = x.double()
    assert float((log - wide.log()).abs().div(wide.log().abs().clamp(min=1)).max()) < 2e-7
    assert float((log1p / wide.log1p() - 1).abs().max()) < 3e-7


@pytest.mark.parametrize("place", [0, 1], ids=["mean", "variance"])
def test_nan_comes_through(draw, place):
    inputs = [draw(3, 6, 1), draw(3, 6, 1).exp()]
    inputs[place][1, 2] = np.nan
    Y = as_labels(torch.ones(6, 3))
    values = kernel_pairs_streamed(*inputs, Y, PairKernel(1.0, 0.17), slice(0, 6), False)
    assert values.isnan().all()


def test_what_compiled_rows_do_not_take(draw):
    mu = draw(3, 6, 1)
    assert not _Compiled.fits(mu, PairKernel(1.0, 0.01))
    assert not _Compiled.fits(draw(3, 6, 2), PairKernel(1.0, 0.17))
    assert not _Compiled.fits(mu.double(), PairKernel(1.0, 0.17))
