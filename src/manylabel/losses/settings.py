"""Settings of the losses, checked: numbers of a range, switches, choices, the temperature that may be learnt."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from manylabel.errors import ManyLabelError

REDUCTIONS = ("mean", "sum", "none")
LOWEST_TEMPERATURE = (
    1e-20  # below it, exponents reach the number that stands for an anchor's pair with itself
)


def real(
    who: str,
    what: str,
    value: Any,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    above: bool = False,
    below: bool = False,
    hint: str = "",
) -> float:
    """A finite number within bounds as a float; ``above`` and ``below`` leave the bounds themselves out.

    Raises
    ------
    ManyLabelError
        Also for a tensor that requires a gradient, which nothing here would give it.
    """
    if isinstance(value, Tensor) and value.requires_grad:
        got = "a tensor that requires a gradient"
        raise ManyLabelError(who, f"{what} as a plain number", got, "This setting cannot be learnt.")
    number = plain_number(value)
    inside = number is not None and math.isfinite(number) and least <= number <= most
    if number is None or not inside or (above and number == least) or (below and number == most):
        raise ManyLabelError(who, f"{what} {_range(least, most, above, below)}", repr(value)[:80], hint)
    return number


def plain_number(value: Any) -> float | None:
    """The number that a Python or NumPy scalar, or a tensor of one entry, holds; None for anything else."""
    if isinstance(value, Tensor) and value.numel() == 1 and value.device.type != "meta":
        if value.dtype == torch.bool or value.is_complex() or value.layout != torch.strided:
            return None
        return float(value.detach())
    if isinstance(value, (bool, str)) or not isinstance(value, numbers.Real):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _range(least: float, most: float, above: bool, below: bool) -> str:
    low = f"{'above' if above else 'of at least'} {least:g}" if least > -math.inf else ""
    high = f"{'below' if below else 'at most'} {most:g}" if most < math.inf else ""
    return " and ".join(part for part in (low, high) if part) or "that is a finite number"


def whole(who: str, what: str, value: Any, least: int = 1, hint: str = "") -> int:
    """A whole number of at least ``least``."""
    right = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not right or int(value) < least:
        raise ManyLabelError(who, f"{what} as a whole number of at least {least}", repr(value)[:80], hint)
    return int(value)


def switch(who: str, what: str, value: Any) -> bool:
    """True or False."""
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        return bool(value)
    raise ManyLabelError(who, f"{what} True or False", repr(value)[:80], "Leave it out for the default.")


def choice(who: str, what: str, value: Any, known: Sequence[str], hint: str = "") -> None:
    """Refuse anything but one of the words."""
    if not isinstance(value, str) or value not in known:
        *most, last = map(repr, known)
        expected = f"{what} {', '.join(most)} or {last}"
        raise ManyLabelError(who, expected, repr(value)[:80], hint or "Leave it out for the default.")


def check_reduction(who: str, reduction: Any, known: tuple[str, ...] = REDUCTIONS) -> None:
    """Refuse an unknown reduction."""
    choice(who, "reduction", reduction, known, "Leave it out for the loss's own default.")


def check_temperature(who: str, temperature: Any) -> None:
    """Refuse anything but a finite number above 0, as it is or in a tensor of one entry."""
    number = plain_number(temperature)
    if number is None or not 0 < number < math.inf:
        got = repr(number if isinstance(temperature, Tensor) and number is not None else temperature)[:80]
        hint = "Common values are 0.05 to 0.5."
        if isinstance(temperature, Tensor) and temperature.requires_grad:
            hint += " Keep a learnt one above 0: clamp the parameter after each step, or learn its logarithm."
        raise ManyLabelError(who, "a temperature above 0, one finite number", got, hint)
    if number < LOWEST_TEMPERATURE:
        hint = "Common values are 0.05 to 0.5."
        raise ManyLabelError(who, f"a temperature above {LOWEST_TEMPERATURE:g}", repr(number), hint)


def read_temperature(who: str, temperature: Any) -> float | Tensor:
    """A checked temperature: a number, or a scalar tensor where its gradient is wanted."""
    if isinstance(temperature, Tensor):
        if torch.compiler.is_compiling():
            return temperature.reshape(())
        check_temperature(who, temperature)
        if temperature.requires_grad and torch.is_grad_enabled():
            return temperature.reshape(())
        return float(temperature.detach())
    check_temperature(who, temperature)
    return float(temperature)


def check_group(who: str, group: Any) -> None:
    """Refuse anything but a process group that this process is a member of."""
    if group is None:
        return
    if not dist.is_available() or not isinstance(group, dist.ProcessGroup):
        hint = "Pass torch.distributed.group.WORLD, or what torch.distributed.new_group gives on its members."
        raise ManyLabelError(who, "group as a process group, or None", repr(group)[:80], hint)
