"""Plain equations as LaTeX: ``L_i = sum_{j in y_i} (1/n_j) s_ij / tau`` as a reader expects it in print."""

from __future__ import annotations

import re

GREEK = {"Phi", "alpha", "beta", "gamma", "mu", "sigma", "tau", "xi"}
FUNCTIONS = {
    "ASL", "KL", "cos", "exp", "log", "logsumexp", "max", "mean", "min", "sigmoid", "softmax", "softplus", "weight",
}  # fmt: skip
NAMES = {"dL", "Tn", "Tp", "clip", "eps", "pn", "sd"}
SETS = {"and": r"\cap", "or": r"\cup", "minus": r"\setminus"}
SIGNS = {
    ">=": r"\ge", "<=": r"\le", "!=": r"\ne", "<": r"\lt", ">": r"\gt", ":": r":\;",
    "{": r"\{", "}": r"\}", "[": r"\left[", "]": r"\right]",
}  # fmt: skip
FRACTION = re.compile(
    r"\(([^()/ ]+)/((?:[^()/ ]|\([^()]*\))+)\)"
)  # such as (1/|y_i|); "(a / b)" stays on its line
TOKEN = re.compile(
    r"""(?P<latex>\\\w+(?:\{\ [^{}]*\})?) | (?P<number>\d+(?:\.\d+)?(?:e[+-]\d+)?) | (?P<word>[A-Za-z]+)
    | (?P<script>[_^](?:\{[^{}]*\}|[A-Za-z0-9]+(?:(?<=gamma)_\w+)?))
    | (?P<space>\s+) | (?P<sign>>=|<=|!=|.)""",
    re.VERBOSE,
)


def latex(line: str) -> str:
    """One plain line as LaTeX.

    >>> print(latex("L_i = sum_{j in y_i} (1/n_j) s_ij / tau"))
    L_{i} = \\sum_{j \\in y_{i}} \\frac{1}{n_{j}} s_{ij} / \\tau
    """
    found = re.sub(r"\\text\{ [^{}]* \}(?: \\text\{ [^{}]* \})+", _joined, " ".join(_parts(_rewritten(line))))
    return re.sub(
        r"(\\text\{[^{}]*) \}(?= [,;:)]|$)", r"\1}", re.sub(r"(\( |^)\\text\{ ", r"\1\\text{", found)
    )


def _rewritten(line: str) -> str:
    """What takes more than one word to tell: operations on label sets, articles, and blanks that only align."""
    line = re.sub(r"(?<=[=:]) +| +(?==)", " ", line)
    line = re.sub(r"(y_\w) (and|or|minus) (?=y_\w)", lambda found: f"{found[1]} {SETS[found[2]]} ", line)
    line = re.sub(r"\bg([+-])", r"g^{\1}", line).replace("not in", r"\notin").replace(" . ", r" \cdot ")
    line = re.sub(r"(?<=[a-z,] )a(?= [a-z]{3,})", r"\\text{ a }", line)
    return re.sub(r"(?<=as )in|mean(?= of)|sum(?= over)", r"\\text{ \g<0> }", line)


def _joined(found: re.Match[str]) -> str:
    """Words beside each other as one text."""
    return r"\text{ " + " ".join(word.strip() for word in re.findall(r"\{([^{}]*)\}", found[0])) + " }"


def _parts(line: str) -> list[str]:
    parts: list[str] = []
    end = 0
    for found in FRACTION.finditer(line):
        parts += _tokens(line[end : found.start()])
        parts.append(rf"\frac{{{latex(found[1])}}}{{{latex(found[2])}}}")
        end = found.end()
    return parts + _tokens(line[end:])


def _tokens(text: str) -> list[str]:
    """The LaTeX of each token; a script joins what it belongs to."""
    parts: list[str] = []
    for token in TOKEN.finditer(text):
        kind, found = token.lastgroup, token[0]
        if kind == "script":
            parts[-1:] = ["".join(parts[-1:]) + _script(found)]
        elif kind != "space":
            parts.append(_drawn(kind, found, text[token.end() :]))
    return parts


def _script(found: str) -> str:
    inside = found[1:].strip("{}")
    plain = inside in ("+", "-") or (inside.isalpha() and len(inside) <= 3 and inside not in ("pos", "neg"))
    return f"{found[0]}{{{inside if plain else latex(inside)}}}"


def _drawn(kind: str | None, found: str, rest: str) -> str:
    if kind == "number":
        factor, _, power = found.partition("e")
        return found if not power else (rf"{factor} \cdot " if factor != "1" else "") + f"10^{{{int(power)}}}"
    if kind == "word":
        return _word(found, named=rest.startswith("_"))
    return SIGNS.get(found, found)


def _word(word: str, named: bool) -> str:
    if word in GREEK or word in ("sum", "in"):
        return rf"\{word}"
    if word in FUNCTIONS:
        return rf"\operatorname{{{word}}}"
    if word in NAMES or (len(word) > 1 and named):
        return rf"\mathrm{{{word}}}"
    return word if len(word) == 1 else rf"\text{{ {word} }}"
