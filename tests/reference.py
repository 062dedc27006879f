"""Slow twins of the losses: float64 loops over anchors, labels and pairs, written from the equations.

Every function takes float64 rows as they are (no normalisation) and 0/1 (or soft) label matrices, in which NaN stands
for an unknown entry, and is differentiable by autograd. Nothing here is fast, tiled or clever.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=1, keepdim=True).clamp_min(1e-12)


def known(Y: Tensor) -> Tensor:
    """Labels with 0 for each unknown entry, float64."""
    return Y.double().nan_to_num(0.0)


def may_share(y: Tensor, t: Tensor) -> bool:
    """Whether a candidate shares no known label with an anchor, and some label that this carries is unknown there."""
    shares = any(float(a) > 0 and float(b) > 0 for a, b in zip(y, t, strict=True))
    return not shares and any(float(a) > 0 and float(b) != float(b) for a, b in zip(y, t, strict=True))


def left_out(Y: Tensor, T: Tensor, unknown: str) -> list[list[bool]]:
    """Which candidates leave the denominator of each anchor."""
    return [[unknown == "leave_out" and may_share(y, t) for t in T] for y in Y]


def pairwise(
    z: Tensor,
    k: Tensor,
    w: list[list[float]],
    tau: float | list[float],
    own: bool,
    times: list[float] | list[list[float]] | None = None,
    out: list[list[bool]] | None = None,
) -> list[Tensor]:
    """``sum_a w_ia (lse_i - s_ia / tau)`` of each anchor; with ``own`` anchor i is not its own candidate.

    A temperature for each anchor, and how often a candidate counts for each anchor, come as lists.
    """
    values, taus, each = [], tau if isinstance(tau, list) else [tau] * len(z), times
    for i in range(len(z)):
        tau, times = taus[i], each[i] if each and isinstance(each[0], list) else each
        others = [a for a in range(len(k)) if not (own and a == i) and not (out and out[i][a])]
        value = 0.0 * z[i].sum()
        if others and any(w[i][a] for a in others):
            s = torch.stack([z[i] @ k[a] / tau for a in others])
            lse = torch.logsumexp(
                s if times is None else s + torch.tensor([times[a] for a in others], dtype=s.dtype).log(), 0
            )
            for a, s_ia in zip(others, s, strict=True):
                if w[i][a]:
                    value = value + w[i][a] * (lse - s_ia)
        values.append(value)
    return values


def label_aware(Y: Tensor, T: Tensor, negatives: str = "label_aware") -> list[list[float]] | None:
    """What each candidate weighs in the denominator of each anchor."""
    if negatives == "alike":
        return None
    Y, T = known(Y), known(T)
    return [[2 - float((y * t).sum()) / max(float(y.sum()), float(t.sum()), 1.0) for t in T] for y in Y]


def temperatures(Y: Tensor, T: Tensor, tau: float, power: float) -> float | list[float]:
    """``tau f_i^power`` of each anchor."""
    if not power:
        return tau
    shares = [float(t.nansum()) / max(int((t == t).sum()), 1) for t in T.double().T]
    rarest = [
        min([f for y, f in zip(row, shares, strict=True) if float(y) and f] or [1.0]) for row in known(Y)
    ]
    return [tau * f**power for f in rarest]


def reduced(values: list[Tensor], divisor: float, zero: Tensor, reduction: str) -> Tensor:
    """The sum over a loss's own divisor; with "none" the values of rows, with "divisor" the divisor."""
    if reduction == "divisor":
        return torch.tensor(float(divisor))
    if reduction == "none":
        return torch.stack(values)
    return (sum(values) / divisor if divisor else 0.0) + 0.0 * zero.sum()


def of_counted(values: list[Tensor], counted: list[bool], zero: Tensor, reduction: str) -> Tensor:
    kept = [v if c else 0.0 * zero.sum() for v, c in zip(values, counted, strict=True)]
    return reduced(kept, sum(counted), zero, reduction)


def per_label_weights(Y: Tensor, T: Tensor, own: bool) -> tuple[list[list[float]], list[float]]:
    """``w_ia = sum_j Y_ij T_aj / n_ij``, and the weight of each anchor's labels that a candidate carries."""
    Y, T = known(Y), known(T)
    weights, carried = [], []
    for i in range(len(Y)):
        row = [0.0] * len(T)
        total = 0.0
        for j in range(Y.shape[1]):
            n = sum(float(T[a, j]) for a in range(len(T)) if not (own and a == i))
            if float(Y[i, j]) and n:
                total += float(Y[i, j])
                for a in range(len(T)):
                    if not (own and a == i):
                        row[a] += float(Y[i, j]) * float(T[a, j]) / n
        weights.append(row)
        carried.append(total)
    return weights, carried


def mulsupcon(
    z: Tensor,
    Y: Tensor,
    k: Tensor,
    T: Tensor,
    tau: float,
    own: bool = False,
    reduction: str = "mean",
    unknown: str = "keep",
    negatives: str = "alike",
    frequency_power: float = 0.0,
) -> Tensor:
    weights, carried = per_label_weights(Y, T, own)
    pairs = float(known(Y).sum()) if own else sum(carried)
    taus, times = temperatures(Y, T, tau, frequency_power), label_aware(Y, T, negatives)
    values = pairwise(z, k, weights, taus, own, times, left_out(Y, T, unknown))
    return reduced(values, pairs, z, reduction)


def decoupled(
    z: Tensor,
    Y: Tensor,
    k: Tensor,
    T: Tensor,
    tau: float,
    own: bool = False,
    reduction: str = "mean",
    unknown: str = "keep",
    negatives: str = "alike",
    frequency_power: float = 0.0,
) -> Tensor:
    n_pairs = float(known(Y).sum()) if own else sum(per_label_weights(Y, T, own)[1])
    taus = temperatures(Y, T, tau, frequency_power)
    times, out = label_aware(Y, T, negatives), left_out(Y, T, unknown)
    values = []
    for i in range(len(z)):
        others = [a for a in range(len(k)) if not (own and a == i)]
        s = {a: z[i] @ k[a] / (taus[i] if isinstance(taus, list) else taus) for a in others}
        y, t = known(Y)[i], known(T)
        negative = [a for a in others if not bool((y * t[a] > 0).any()) and not out[i][a]]
        below = [s[a] + torch.tensor(times[i][a] if times else 1.0).double().log() for a in negative]
        value = 0.0 * z[i].sum()
        for j in range(len(y)):
            carriers = [p for p in others if float(t[p, j])]
            n_j = sum(float(t[p, j]) for p in carriers)
            for p in carriers:
                term = torch.logsumexp(torch.stack([s[p], *below]), 0) - s[p]
                value = value + float(y[j]) * float(t[p, j]) / n_j * term
        values.append(value)
    return reduced(values, n_pairs, z, reduction)


def debiased(
    z: Tensor,
    Y: Tensor,
    k: Tensor,
    T: Tensor,
    tau: float,
    own: bool = False,
    reduction: str = "mean",
    unknown: str = "keep",
    negatives: str = "label_aware",
    frequency_power: float = 0.0,
) -> Tensor:
    n, times, out = len(z), label_aware(Y, T, negatives), left_out(Y, T, unknown)
    weights = [[0.0] * len(k) for _ in range(n)]
    for i in range(n):
        other = (i + n // 2) % n if own else i
        weights[i][other] = 1.0
        if times:
            times[i][other] = 1.0
    values = pairwise(z, k, weights, temperatures(Y, T, tau, frequency_power), own, times, out)
    return reduced(values, n, z, reduction)


def mulsupcon_weighted(
    z: Tensor,
    Y: Tensor,
    k: Tensor,
    T: Tensor,
    tau: float,
    own: bool = False,
    reduction: str = "mean",
    unknown: str = "keep",
) -> Tensor:
    weights, carried = per_label_weights(Y, T, own)
    counts = [float(y.sum()) for y in known(Y)] if own else carried
    values = pairwise(z, k, weights, tau, own, out=left_out(Y, T, unknown))
    return reduced([v / (c or 1.0) for v, c in zip(values, counts, strict=True)], len(z), z, reduction)


def with_positives(
    positive: Callable[[Tensor, Tensor], bool],
) -> Callable[..., Tensor]:
    """SupCon with a rule that says which candidates are positives of an anchor."""

    def loss(
        z: Tensor,
        Y: Tensor,
        k: Tensor,
        T: Tensor,
        tau: float,
        own: bool = False,
        reduction: str = "mean",
        unknown: str = "keep",
    ) -> Tensor:
        weights = []
        for i in range(len(Y)):
            hits = [not (own and a == i) and positive(Y[i], T[a]) for a in range(len(T))]
            weights.append([hit / max(sum(hits), 1) for hit in hits])
        values = pairwise(z, k, weights, tau, own, out=left_out(Y, T, unknown))
        return of_counted(values, [any(w) for w in weights], z, reduction)

    return loss


supcon_all = with_positives(lambda y, t: bool((y == t).all()))
supcon_any = with_positives(lambda y, t: bool((y * t > 0).any()))
supcon = supcon_any


def of_rows(terms: list[list[Tensor]], x: Tensor, reduction: str) -> Tensor:
    """Of terms for every known entry of every row: their mean, sum, sum over the rows with a term, or sums of rows."""
    divisors = {"mean": sum(map(len, terms)), "rows": sum(map(bool, terms)), "sum": 1, "none": 1}
    values = [sum(row, 0.0 * x.sum()) for row in terms]
    return reduced(values, divisors[reduction], x, reduction)


def _entries(x: Tensor, Y: Tensor) -> list[list[tuple[Tensor, bool]]]:
    """Logit and label of the known entries of each row."""
    C = range(x.shape[1])
    return [[(x[i, c], bool(Y[i, c])) for c in C if Y[i, c] == Y[i, c]] for i in range(len(x))]


def bce(x: Tensor, Y: Tensor, reduction: str = "mean") -> Tensor:
    terms = [[-torch.log(torch.sigmoid(v if y else -v)) for v, y in row] for row in _entries(x, Y)]
    return of_rows(terms, x, reduction)


def focal(x: Tensor, Y: Tensor, gamma: float = 2.0, reduction: str = "sum") -> Tensor:
    right = [[torch.sigmoid(v if y else -v) for v, y in row] for row in _entries(x, Y)]
    return of_rows([[-((1 - p) ** gamma) * torch.log(p) for p in row] for row in right], x, reduction)


def asl(
    x: Tensor,
    Y: Tensor,
    gn: float = 4.0,
    gp: float = 1.0,
    clip: float = 0.05,
    eps: float = 1e-8,
    reduction: str = "sum",
) -> Tensor:
    def term(v: Tensor, y: bool) -> Tensor:
        p = torch.sigmoid(v)
        pn = torch.clamp(1 - p + clip, max=1.0)
        if y:
            return -((1 - p).detach() ** gp) * torch.log(p.clamp(min=eps))
        return -((1 - pn).detach() ** gn) * torch.log(pn.clamp(min=eps))

    return of_rows([[term(v, y) for v, y in row] for row in _entries(x, Y)], x, reduction)


def zlpr(x: Tensor, Y: Tensor, reduction: str = "mean") -> Tensor:
    values = []
    for row, y in zip(x, Y, strict=True):
        present, absent = row[y > 0], row[y == 0]
        values.append(torch.log(1 + torch.exp(-present).sum()) + torch.log(1 + torch.exp(absent).sum()))
    return reduced(values, sum(map(bool, _entries(x, Y))), x, reduction)


def twoway(x: Tensor, Y: Tensor, tp: float = 4.0, tn: float = 1.0) -> Tensor:
    total = 0.0 * x.sum()
    for X, labels in ((x, Y), (x.T, Y.T)):
        values = []
        for row, y in zip(X, labels, strict=True):
            if bool((y > 0).any()):
                high = tp * torch.logsumexp(-row[y > 0] / tp, 0)
                low = tn * torch.logsumexp(row[y == 0] / tn, 0)
                values.append(torch.logaddexp(high + low, torch.zeros_like(low)))
        total = total + (torch.stack(values).mean() if values else 0.0)
    return total


EPS = 1e-8


def base(
    z: Tensor,
    Y: Tensor,
    k: Tensor,
    T: Tensor,
    tau: float,
    own: bool = False,
    reduction: str = "mean",
    unknown: str = "keep",
) -> Tensor:
    weights = []
    for i in range(len(Y)):
        row = []
        for a in range(len(T)):
            asked = (Y[i] == Y[i]) & (T[a] == T[a])
            both = float((Y[i] * T[a])[asked].sum())
            either = float(Y[i][asked].sum() + T[a][asked].sum()) - both
            row.append(0.0 if own and a == i else both / (either + EPS))
        total = sum(row) + EPS
        weights.append([w / total for w in row])
    values = pairwise(z, k, weights, tau, own, out=left_out(Y, T, unknown))
    return of_counted(values, [any(w) for w in weights], z, reduction)


def jaccard(
    z: Tensor,
    Y: Tensor,
    k: Tensor,
    T: Tensor,
    tau: float,
    own: bool = False,
    reduction: str = "mean",
    unknown: str = "keep",
    threshold: float = 0.5,
) -> Tensor:
    weights = []
    for i in range(len(Y)):
        row = [0.0] * len(T)
        for a in range(len(T)):
            asked = (Y[i] == Y[i]) & (T[a] == T[a])
            both, either = Y[i][asked] * T[a][asked], Y[i][asked] + T[a][asked] > 0
            if bool(both.any()) and not (own and a == i):
                overlap = float(both.sum()) / float(either.sum())
                row[a] = overlap if overlap >= threshold else 0.0
        weights.append([w / max(sum(v > 0 for v in row), 1) for w in row])
    values = pairwise(z, k, weights, tau, own, out=left_out(Y, T, unknown))
    return of_counted(values, [any(w) for w in weights], z, reduction)


def similarity_dissimilarity(
    z: Tensor,
    Y: Tensor,
    k: Tensor,
    T: Tensor,
    tau: float,
    own: bool = False,
    reduction: str = "mean",
    unknown: str = "keep",
) -> Tensor:
    out, Y, T = left_out(Y, T, unknown), known(Y), known(T)
    weights = []
    for i in range(len(Y)):
        row = [0.0] * len(T)
        for a in range(len(T)):
            both = float((Y[i] * T[a]).sum())
            if both and not (own and a == i):
                row[a] = both / float(Y[i].sum()) / (1 + float((T[a] * (1 - Y[i])).sum()))
        weights.append([w / max(sum(v > 0 for v in row), 1) for w in row])
    values = pairwise(z, k, weights, tau, own, out=out)
    return of_counted(values, [any(w) for w in weights], z, reduction)


def pair_weighted(
    z: Tensor,
    Y: Tensor,
    k: Tensor,
    T: Tensor,
    tau: float,
    own: bool = False,
    reduction: str = "mean",
    unknown: str = "keep",
) -> Tensor:
    out, Y, T = left_out(Y, T, unknown), known(Y), known(T)
    weights = []
    for i in range(len(Y)):
        row = [0.0 if own and a == i else float((Y[i] * T[a]).sum()) for a in range(len(T))]
        weights.append([w / sum(row) if sum(row) else 0.0 for w in row])
    values = pairwise(z, k, weights, tau, own, out=out)
    return of_counted(values, [any(w) for w in weights], z, reduction)


def proto(
    z: Tensor, Y: Tensor, p: Tensor, tau: float, reduction: str = "mean", unknown: str = "keep"
) -> Tensor:
    out, Y = Y.isnan().tolist(), known(Y)
    weights = [[float(y) / max(float(row.sum()), 1.0) for y in row] for row in Y]
    values = pairwise(z, p, weights, tau, False, out=out)
    return of_counted(values, [any(w) for w in weights], z, reduction)


def msc(
    z: Tensor,
    Y: Tensor,
    p: Tensor,
    tau: float,
    alpha: float = 1.0,
    beta: float = 0.1,
    keys: Tensor | None = None,
    T: Tensor | None = None,
    reduction: str = "mean",
    unknown: str = "keep",
) -> Tensor:
    samples = z if keys is None else torch.cat([z, keys])
    labels = Y if T is None else torch.cat([Y, T])
    of_samples = left_out(Y, labels, unknown)
    out = [there + y.isnan().tolist() for there, y in zip(of_samples, Y, strict=True)]
    Y, labels = known(Y), known(labels)
    values, counted = [], []
    times = [beta] * len(samples) + [1.0] * len(p)
    candidates = torch.cat([samples, p])
    weights = []
    for a in range(len(z)):
        shares = []
        for b in range(len(samples)):
            both = Y[a] * labels[b]
            either = float(Y[a].sum() + labels[b].sum() - both.sum())
            shares.append(torch.zeros_like(both) * 1.0 if b == a else alpha * both / max(either, 1.0))
        normaliser = Y[a] + sum(shares)
        row = [float((g / (normaliser + EPS)).sum()) for g in shares]
        weights.append(row + [float(y / (n + EPS)) for y, n in zip(Y[a], normaliser, strict=True)])
    for value, y in zip(pairwise(z, candidates, weights, tau, True, times, out), Y, strict=True):
        n = float(y.sum())
        values.append(value / (n + (0.0 if keys is None else EPS)) if n else value)
        counted.append(n > 0)
    return of_counted(values, counted, z, reduction)


def reg(
    z: Tensor,
    Y: Tensor,
    p: Tensor,
    tau: float,
    alpha: float = 0.0,
    regularised: bool = True,
    reduction: str = "mean",
    unknown: str = "keep",
) -> Tensor:
    e, A = torch.cat([z, p]), torch.cat([known(Y), torch.eye(len(p)).double()])
    n, hidden, of_samples = len(z), Y.isnan(), left_out(Y, Y, unknown)

    def out(a: int, b: int) -> bool:
        if a < n and b < n:
            return of_samples[a][b]
        return bool(hidden[a, b - n]) if a < n else b < n and bool(hidden[b, a - n])

    values, counted = [], []
    for a in range(len(e)):
        others = [b for b in range(len(e)) if b != a and not out(a, b)]
        shares = {}
        for b in others:
            both, size = float((A[a] * A[b]).sum()), float(A[b].sum())
            within = both / size if size else 0.0
            shares[b] = within**alpha if alpha >= 0 else float(within >= 1 - EPS)
        w = dict.fromkeys(others, 0.0)
        for c in range(A.shape[1]):
            if A[a, c]:
                carried = sum(shares[b] * float(A[b, c]) for b in others)
                for b in others:
                    w[b] += shares[b] * float(A[b, c]) / (carried + EPS) / float(A[a].sum())
        counted.append(any(w.values()))
        values.append(0.0 * e.sum())
        if not others:
            continue
        s = torch.stack([e[a] @ e[b] / tau for b in others])
        lse = torch.logsumexp(s, 0)
        for b, s_ab in zip(others, s, strict=True):
            if w[b]:
                extra = max(float((s_ab - lse).detach().exp()) - w[b], 0.0) if regularised else 0.0
                values[-1] = values[-1] + w[b] * (lse - s_ab) - extra * s_ab
    return of_counted(values, counted, e, reduction)


def wrg(
    z: Tensor,
    Y: Tensor,
    p: Tensor,
    tau: float,
    alpha: float = 0.0,
    reduction: str = "mean",
    unknown: str = "keep",
) -> Tensor:
    return reg(z, Y, p, tau, alpha, False, reduction, unknown)


SD_EPS = 1.49e-8


def per_dimension(f: Tensor, mu: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Means and standard deviations (B, D, C), of isotropic mixtures too."""
    if mu.dim() == 2:
        mu, v = (t[:, None].expand(-1, f.shape[1], -1) for t in (mu, v))
    return mu, v.sqrt() + SD_EPS


def kmcl_reconstruction(
    f: Tensor, x: Tensor, mu: Tensor, v: Tensor, Y: Tensor, reduction: str = "mean"
) -> Tensor:
    mu, sd = per_dimension(f, mu, v)
    values = []
    for i in range(len(f)):
        values.append(0.0 * f.sum())
        if not known(Y)[i].any():
            continue
        shares = {
            k: torch.sigmoid(x[i, k]) * torch.exp(-0.5 * (((f[i] - mu[i, :, k]) / sd[i, :, k]) ** 2).sum())
            for k in range(x.shape[1])
            if Y[i, k] == Y[i, k]
        }
        true = sum(s for k, s in shares.items() if Y[i, k])
        values[-1] = values[-1] - torch.log(true / sum(shares.values()))
    return reduced(values, int(known(Y).any(1).sum()), f, reduction)


def kmcl_contrastive(
    f: Tensor,
    mu: Tensor,
    v: Tensor,
    Y: Tensor,
    scale: str = "released",
    tau: float = 0.17,
    reduction: str = "mean",
) -> Tensor:
    factor = f.shape[1] if mu.dim() == 3 and scale == "released" else 1
    B, zero = len(Y), 0.0 * (mu.sum() + v.sum())
    asked, Y = Y == Y, known(Y)
    values = [zero] * B
    mu, sd = per_dimension(f, mu, v)

    def E(i: int, j: int, k: int) -> Tensor:
        a, b = sd[i, :, k], sd[j, :, k]
        u = a**2 + b**2
        bd = factor / 2 * torch.log(u / (2 * a * b)).sum()
        bd = bd + factor / 4 * ((mu[i, :, k] - mu[j, :, k]) ** 2 / u).sum()
        return torch.exp(torch.exp(-bd) / tau)

    for i in range(B):
        partners = [j for j in range(B) if j != i and bool((Y[i] * Y[j]).any())]
        for k in range(Y.shape[1]):
            rivals = [j for j in range(B) if j != i and asked[j, k]]
            kernels = {j: E(i, j, k) for j in rivals} if Y[i, k] and partners else {}
            for j in partners:
                if Y[i, k] and Y[j, k]:
                    both = (Y[i] * Y[j]).sum()
                    J = float(both) / float(Y[i].sum() + Y[j].sum() - both)
                    share = J * kernels[j] / sum(kernels.values())
                    values[i] = values[i] - torch.log(share + 1e-7) / len(partners)
    return reduced(values, B, zero, reduction)


def kmcl(
    f: Tensor,
    x: Tensor,
    mu: Tensor,
    v: Tensor,
    Y: Tensor,
    scale: str = "released",
    tau: float = 0.17,
    reduction: str = "mean",
) -> Tensor:
    summed = "none" if reduction == "none" else "sum"
    focus = asl(x, Y, gn=4.0, gp=0.0, clip=0.05, eps=1e-7, reduction=summed)
    fit = kmcl_reconstruction(f, x, mu, v, Y, reduction)
    return focus + fit + kmcl_contrastive(f, mu, v, Y, scale, tau, reduction)
