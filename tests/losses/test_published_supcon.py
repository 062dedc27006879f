"""Stored values and gradients of the released MulSupCon code and of the in-batch form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from manylabel import losses

STORED = Path(__file__).parents[1] / "reference_values"
MULSUPCON = np.load(STORED / "mulsupcon.npz")
PROTOTYPES = np.load(STORED / "prototype_losses.npz")
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


def close(got: torch.Tensor, want: np.ndarray, dtype: torch.dtype) -> None:
    scale = 1 if want.ndim == 0 else max(np.abs(want).max(), 0.1)
    np.testing.assert_allclose(
        got.detach().numpy(), want, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * scale
    )


def test_every_stored_variant_is_compared():
    results = {key.split("__")[1] for key in MULSUPCON.files if key.endswith("__value")}
    assert results == {"mulsupcon", "mulsupcon_weighted", "all", "any"}
    assert {key.split("__")[0] for key in MULSUPCON.files} == {f"c{case}" for case in range(7)}


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.parametrize("case", range(7))
@pytest.mark.parametrize("name", ["mulsupcon", "mulsupcon_weighted", "all", "any"])
@pytest.mark.parametrize("engine", ["dense", "streamed"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("keys_grad", [False, True])
def test_released_values(case, name, engine, dtype, sparse, keys_grad):
    stored = {key: MULSUPCON[f"c{case}__{key}"] for key in ("z", "k", "Y", "T", "tau")}
    z = torch.from_numpy(stored["z"]).to(dtype).requires_grad_()
    k = torch.from_numpy(stored["k"]).to(dtype).requires_grad_(keys_grad)
    Y, T = (torch.from_numpy(stored[key]) for key in ("Y", "T"))
    if sparse:
        Y, T = Y.float().to_sparse_csr() if case % 2 else Y.float().to_sparse(), T.float().to_sparse()
    loss = losses.get(name, temperature=float(stored["tau"]), normalize=False, engine=engine)
    value = loss(z, Y, k, T)
    value.backward()
    close(value, MULSUPCON[f"c{case}__{name}__value"], dtype)
    close(z.grad, MULSUPCON[f"c{case}__{name}__grad_z"], dtype)
    if keys_grad:
        close(k.grad, MULSUPCON[f"c{case}__{name}__grad_k"], dtype)


@pytest.mark.parametrize("case", [0, 1, 2, 4, 5])
@pytest.mark.parametrize("engine", ["dense", "streamed"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ["mulsupcon", "mulsupcon_inbatch"])
def test_in_batch_values(case, engine, dtype, name):
    x = torch.from_numpy(PROTOTYPES[f"c{case}__x"]).to(dtype).requires_grad_()
    Y = torch.from_numpy(PROTOTYPES[f"c{case}__Y"])
    value = losses.get(name, temperature=float(PROTOTYPES[f"c{case}__tau"]), engine=engine)(x, Y)
    value.backward()
    close(value, PROTOTYPES[f"c{case}__mulsupcon_inbatch__value"], dtype)
    close(x.grad, PROTOTYPES[f"c{case}__mulsupcon_inbatch__grad_x"], dtype)
