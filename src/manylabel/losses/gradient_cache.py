"""Large batches on small memory: the gradient of a contrastive loss, a chunk of the encoder's graph at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from manylabel.errors import ManyLabelError
from manylabel.labels import Labels
from manylabel.losses.settings import whole


def cached_step(
    encoder: nn.Module,
    loss: Callable[..., Tensor],
    views: Tensor | Sequence[Tensor],
    Y: Labels,
    *,
    chunk: int = 64,
) -> Tensor:
    """Add the gradient of a loss to the parameters, with the encoder's graph of one chunk in memory.

    The rows are embedded without a graph, the loss is taken on all embeddings, and each chunk is embedded
    again to carry the gradient of its embeddings into the encoder. Random numbers are replayed, so that
    dropout is the same both times. It replaces ``loss(encoder(x), Y).backward()``: call the optimiser next.

    Parameters
    ----------
    encoder : module
        Maps rows (n, ...) to embeddings (n, D), heads included.
    loss : callable
        ``loss(z, Y)`` for one view, ``loss(z, Y, keys, Y)`` for two, the second embedded as keys with
        gradient. Anything else fits in a function: ``lambda z, Y: loss(z, Y, prototypes)``. Other tensors
        that it uses get their gradients too.
    views : (B, ...) tensor, or one or two of them
    Y : labels of the B rows
    chunk : int, default 64
        Rows embedded at a time.

    Returns
    -------
    scalar
        The value of the loss, without graph.

    Notes
    -----
    Exactly the gradient of the whole batch for encoders that treat each row by itself. Batch normalisation
    does not: it normalises each chunk by the statistics of that chunk, and updates its running statistics
    twice. The encoder runs forward twice, one and a third times the work of a step.

    References
    ----------
    L. Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", 2021.
    """
    chunk = whole("cached_step", "chunk", chunk, hint="It is the number of rows embedded at a time.")
    views = _read(views)
    chunks = [part for view in views for part in torch.split(view, chunk)]
    states, parts = [], []
    with torch.no_grad():
        for part in chunks:
            states.append(_random_state(part.device))
            parts.append(encoder(part))
    rows = _joined(parts).requires_grad_()
    z, *keys = torch.split(rows, [len(view) for view in views])
    value = loss(z, Y, *(argument for k in keys for argument in (k, Y)))
    _check_value(value, rows)
    value.backward()  # type: ignore[no-untyped-call]
    gradients = torch.split(_gradient(rows), [len(part) for part in parts])
    for number, (part, state, gradient) in enumerate(zip(chunks, states, gradients, strict=True), 1):
        with _replayed(state, part.device), _unsynchronised(encoder, number < len(chunks)):
            encoder(part).backward(gradient)
    return value.detach()


def _gradient(rows: Tensor) -> Tensor:
    """What the loss left at the embeddings."""
    if rows.grad is None:
        hint = "Contrast what the function is given, not rows that were embedded before."
        raise ManyLabelError("cached_step", "a loss of the embeddings", "one that leaves them out", hint)
    return rows.grad


def _read(views: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """One or two views of the same rows."""
    if not isinstance(views, Tensor | list | tuple):
        hint = "Make a tensor of it first: torch.as_tensor(...)."
        raise ManyLabelError("cached_step", "one or two views of the same rows", type(views).__name__, hint)
    views = [views] if isinstance(views, Tensor) else list(views)
    if not all(isinstance(view, Tensor) and view.dim() for view in views):
        got = f"a list of {', '.join(sorted({type(view).__name__ for view in views}))}"
        hint = "Make tensors of arrays and lists first: torch.as_tensor(...)."
        raise ManyLabelError("cached_step", "views as tensors of rows", got, hint)
    if len(views) not in (1, 2) or len({len(view) for view in views}) != 1:
        got = f"{len(views)} of lengths {[len(view) for view in views]}"
        hint = "Pass a tensor of rows, or a list of two."
        raise ManyLabelError("cached_step", "one or two views of the same rows", got, hint)
    return views


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """The embeddings of all chunks."""
    wrong = [part for part in parts if not isinstance(part, Tensor) or part.dim() != 2]
    if wrong:
        got = f"shape {tuple(wrong[0].shape)}" if isinstance(wrong[0], Tensor) else type(wrong[0]).__name__
        hint = "Add the head to it, or flatten its output."
        raise ManyLabelError("cached_step", "an encoder that gives embeddings (n, D)", got, hint)
    return torch.cat(list(parts))


def _check_value(value: Tensor, rows: Tensor) -> None:
    if not isinstance(value, Tensor) or value.numel() != 1:
        got = f"values of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        hint = "Use reduction 'mean' or 'sum'."
        raise ManyLabelError("cached_step", "a loss that gives one number", got, hint)
    if not value.requires_grad:
        got = f"a value without graph of {len(rows)} embeddings"
        hint = "Call it outside of torch.no_grad, and leave nothing detached."
        raise ManyLabelError("cached_step", "a loss that can be differentiated", got, hint)


def _random_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    """The states of the random generators that an encoder on this device draws from."""
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


@contextmanager
def _replayed(state: tuple[Tensor, Tensor | None], device: torch.device) -> Iterator[None]:
    """Draw the random numbers that followed a state, then go on as if they had not been drawn again."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.set_rng_state(state[0])
        if state[1] is not None:
            torch.cuda.set_rng_state(state[1], device)
        yield


def _unsynchronised(encoder: nn.Module, more: bool) -> AbstractContextManager[None]:
    """Let DistributedDataParallel exchange gradients with the last chunk only."""
    no_sync: Callable[[], AbstractContextManager[None]] | None = getattr(encoder, "no_sync", None)
    return no_sync() if more and no_sync is not None else nullcontext()
