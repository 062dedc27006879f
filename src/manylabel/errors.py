"""The one error that users of the library meet, and the kind of it that ends a training step."""

import difflib
from collections.abc import Iterable


class ManyLabelError(ValueError):
    """Input that cannot be used.

    The message always reads ``who: expected X, but got Y. What to do.``

    Parameters
    ----------
    who : str
        What refused the input: a class, a function, a file with its line, or an option.
    expected : str
        What would have been accepted.
    got : str
        What came instead.
    hint : str, default ""
        What the reader can do about it, as one or more full sentences.
    """

    def __init__(self, who: str, expected: str, got: str, hint: str = "") -> None:
        self.who, self.expected, self.got, self.hint = who, expected, got, hint
        super().__init__(f"{who}: expected {expected}, but got {got}. {hint}".rstrip())

    def __reduce__(self) -> tuple[type, tuple[str, str, str, str]]:
        return type(self), (self.who, self.expected, self.got, self.hint)


class NotFinite(ManyLabelError):
    """Numbers of a training that are NaN or infinite, where a step meets them before it has a loss."""


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint that names what is spelt nearest to an unknown name, if anything is near."""
    plain = {one.lower().replace("-", "_"): one for one in known}  # macro-F1 is near macro_f1
    near = difflib.get_close_matches(name.lower().replace("-", "_"), list(plain), n=1)
    return f"Did you mean {plain[near[0]]!r}?" if near else otherwise


def missing_extra(who: str, package: str, extra: str) -> ManyLabelError:
    """The error for an optional dependency that is not installed."""
    return ManyLabelError(
        who,
        f"the package {package}",
        "an environment without it",
        f"Install it with: pip install 'manylabel[{extra}]'",
    )
