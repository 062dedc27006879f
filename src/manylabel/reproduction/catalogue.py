"""Catalogue of reproductions: published tables and figures, ablations, curves, wins over many data sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from manylabel import methods
from manylabel.errors import ManyLabelError, did_you_mean
from manylabel.reproduction.ablation import ablation
from manylabel.reproduction.compare_automl import PROTOCOLS, compare_automl
from manylabel.reproduction.compare_losses import compare_losses
from manylabel.reproduction.compare_published import compare_published
from manylabel.reproduction.experiment import Axis, Point, Reproduction
from manylabel.reproduction.regimes import SUFFIX
from manylabel.reproduction.sweep import sweep
from manylabel.reproduction.where_contrast_pays import where_contrast_pays
from manylabel.reproduction.win_tie_loss import win_tie_loss
from manylabel.reproduction.without_contrast import PRETRAINING_COST, without_contrast
from manylabel.study.variants import Variant

TABLES_2_3 = ("lamp", "mpvae", "asl", "rbcc", "cgmvae", "mulsupcon", "mulsupcon_knn", "best", "bce")
CURVES = ("bce", "zlpr", "asl", "mulsupcon", "reg")
SMALL_SETS = ("yeast", "scene", "cal500")
WIN_TIE_LOSS_SETS = (
    *(
        "yeast",
        "scene",
        "delicious",
        "corel5k",
        "corel16k001",
        "cal500",
        "rcv1_subset1",
        "ohsumed",
        "stackex_cs",
    ),
    *("miml_scenes", "reuters21578", "goemotions", "hallmarks_of_cancer"),
)
FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
LENGTHS = (5, 10, 20, 50, 100, 200, 400)
TEMPERATURES = (0.05, 0.1, 0.2, 0.5, 1.0)
QUEUES = (0, 64, 256, 1024)
SHARES = (0.01, 0.05, 0.1, 0.3, 1.0)
WRONG_LABELS = (0.1, 0.3)
CONTRASTED = ("mulsupcon", "best")
AUTOML = ("best", "mulsupcon", "logistic_regression", "extra_trees")
PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71)
ALPHAS = (-1.0, 0.0, 0.5, 1.0, 2.0)

WITHOUT = {
    "mulsupcon_knn": "mulsupcon_knn",
    "without neighbours": "mulsupcon",
    "without contrast": "bce[neighbours.weight=0.4]",
    "without either": "bce",
    "neighbours alone": "mulsupcon_knn[neighbours.weight=1]",
    "without masking": "mulsupcon_knn[classify.views.mask=0,pretrain.views.mask=0]",
    "without average of parameters": "mulsupcon_knn[classify.stage.ema=null]",
    "without l2_per_row": "mulsupcon_knn[classify.stage.l2_per_row=0]",
    "asymmetric loss": "mulsupcon_knn"
    "[classifier=asl,classify.loss.gamma_neg=2,classify.loss.gamma_pos=0,classify.loss.clip=0]",
    "three members": "mulsupcon_knn[members=3]",
}
WITHOUT_LEARNER = {
    "best": "best",
    **{
        f"without {name}": f"best[learners.{name}=null]"
        for name in ("network", "linear", "neighbours", "trees", "boosted")
    },
}

OTHER_LOSSES = {
    "mulsupcon": "mulsupcon",
    "label-aware negatives": "mulsupcon[pretrain.loss.negatives=label_aware]",
    "rare labels at a lower temperature": "mulsupcon[pretrain.loss.frequency_power=0.25]",
    "rare labels at a higher temperature": "mulsupcon[pretrain.loss.frequency_power=-0.25]",
    "decoupled": "mulsupcon[loss=decoupled]",
    "debiased": "mulsupcon[loss=debiased]",
    "jaccard from 1/2": "mulsupcon[loss=jaccard]",
    "jaccard from 1/4": "mulsupcon[loss=jaccard,pretrain.loss.threshold=0.25]",
    "without contrast": "bce",
}

ONE_RECIPE = (
    "Every method has one recipe for all data sets, chosen on validation rows. Test rows choose nothing but the "
    "thresholds of the oracle protocol, which is the papers'."
)
PROBE = (
    "A linear classifier on the frozen encoder, as in the paper; encoder, pretraining and probe are those of the "
    "recipe mulsupcon and differ in the loss alone."
)


class Asked(NamedTuple):
    """What replaces the methods and the values of the axis of a reproduction; None leaves them."""

    methods: tuple[str, ...] | None = None
    at: tuple[float, ...] | None = None


def tables_2_3(asked: Asked) -> Reproduction:
    return Reproduction(
        name="mulsupcon-table-2-3",
        about="Tables 2 and 3 of MulSupCon (AAAI 2024): example-, micro-, macro-F1 and Hamming accuracy of every "
        "method, entry by entry beside the published figures.",
        protocol=ONE_RECIPE,
        sets=("yeast", "scene", "delicious"),
        seeds=range(5),
        points=_plain(asked.methods or TABLES_2_3),
        show=compare_published("tables 2 and 3"),
        paper="mulsupcon",
    )


def table_5(asked: Asked) -> Reproduction:
    probes = {"ALL": "all", "ANY": "any", "MulSupCon": "mulsupcon"}
    return _probes(
        "mulsupcon-table-5",
        "Table 5 of MulSupCon (AAAI 2024): which rows are positives of each other (ALL, ANY, MulSupCon).",
        "table 5",
        probes,
    )


def table_8(asked: Asked) -> Reproduction:
    probes = {"with 1/|y| (eq. 6)": "mulsupcon_weighted", "without (eq. 4)": "mulsupcon"}
    return _probes(
        "mulsupcon-table-8",
        "Table 8 of MulSupCon (AAAI 2024): every row counts once (eq. 6, mulsupcon_weighted), or every label of a row "
        "does (eq. 4, mulsupcon).",
        "table 8",
        probes,
    )


def ablation_best(asked: Asked) -> Reproduction:
    return Reproduction(
        name="ablation-best",
        about="What each learner of the recipe best is worth: the recipe without it.",
        protocol=f"{ONE_RECIPE} Everything but the learner named is that of the recipe best.",
        sets=("yeast", "scene"),
        seeds=range(3),
        points=tuple(Point(method, line) for line, method in WITHOUT_LEARNER.items()),
        show=ablation,
    )


def ablation_mulsupcon_knn(asked: Asked) -> Reproduction:
    return Reproduction(
        name="ablation-mulsupcon-knn",
        about="What each part of the recipe mulsupcon_knn is worth: the recipe without it, or with something else in "
        "its place.",
        protocol=f"{ONE_RECIPE} Everything but the part named is that of the recipe mulsupcon_knn; without "
        "contrast it is the recipe bce, which trains about as long as the two stages.",
        sets=("yeast", "scene"),
        seeds=range(3),
        points=tuple(Point(method, line) for line, method in WITHOUT.items()),
        show=ablation,
    )


def ablation_reg(asked: Asked) -> Reproduction:
    lines = {"with regulariser (reg)": "reg", "without (wrg)": "wrg"}
    points = [
        Point(f"{method}[pretrain.loss.alpha={_number(x)}]", line, x)
        for line, method in lines.items()
        for x in asked.at or ALPHAS
    ]
    return Reproduction(
        name="ablation-reg",
        about="REG with and without its regulariser, over alpha, which makes candidates with many other labels count "
        "less.",
        protocol=f"{ONE_RECIPE} Everything but the regulariser and alpha is that of the recipe.",
        sets=SMALL_SETS,
        seeds=range(3),
        points=tuple(points),
        show=sweep("macro_f1", "map"),
        axis=Axis("alpha", names={-1.0: "subsets only"}),
    )


def ablation_losses(asked: Asked) -> Reproduction:
    return Reproduction(
        name="ablation-losses",
        about="The recipe mulsupcon with another contrastive loss, with label-aware negatives, or with a temperature "
        "for each anchor, on rows held out of the training part.",
        protocol="The rows that are scored are a label-stratified quarter of the training rows, the others train. What "
        "is said of test rows here holds for that quarter; the test rows are not looked at. Everything but the loss is "
        "that of the recipe; without contrast it is the recipe bce, which trains about as long as the two stages.",
        sets=SMALL_SETS,
        seeds=range(3),
        points=tuple(Point(method, line) for line, method in OTHER_LOSSES.items()),
        show=ablation,
        held_out=True,
    )


def ablation_temperature(asked: Asked) -> Reproduction:
    return Reproduction(
        name="ablation-temperature",
        about="The temperature of the contrastive loss.",
        protocol=f"{ONE_RECIPE} Everything but the temperature is that of the recipe.",
        sets=SMALL_SETS,
        seeds=range(3),
        points=_grid(asked, ("mulsupcon", "reg"), "pretrain.temperature", TEMPERATURES),
        show=sweep("macro_f1", "map"),
        axis=Axis("temperature", logarithmic=True),
    )


def ablation_queue(asked: Asked) -> Reproduction:
    return Reproduction(
        name="ablation-queue",
        about="The number of keys in the queue of the contrastive loss, beside those of a momentum encoder.",
        protocol=f"{ONE_RECIPE} Everything but the queue is that of the recipe.",
        sets=SMALL_SETS,
        seeds=range(3),
        points=_grid(asked, ("mulsupcon[pretrain.candidates=momentum]",), "pretrain.queue", QUEUES),
        show=sweep("macro_f1", "map"),
        axis=Axis("keys in the queue"),
    )


def low_data(asked: Asked) -> Reproduction:
    _check_axis(asked, "shares of the training rows above 0, at most 1", lambda x: 0 < x <= 1)
    points = [
        Point(method, Variant.parse(method).name, 100 * x, x)
        for method in asked.methods or CURVES
        for x in asked.at or FRACTIONS
    ]
    return Reproduction(
        name="low-data",
        about="Macro-F1 against the share of the training rows (as Figure 2 of Audibert, Gauffre and Amini, 2024).",
        protocol="A share is stratified by label and drawn by the seed: the same rows for all methods, and a smaller "
        "share lies inside a larger one. Validation rows are taken out of the share. The number of training steps is "
        "that of all rows, and a batch is at most the largest power of two that the share holds.",
        sets=("yeast", "scene"),
        seeds=range(3),
        points=tuple(points),
        show=sweep("macro_f1", "map"),
        axis=Axis("% of the training rows", logarithmic=True),
    )


def training_length(asked: Asked) -> Reproduction:
    _check_axis(asked, "epochs, 1 or more", lambda x: x >= 1)
    points = [
        Point(str(_of_length(method, round(x))), Variant.parse(method).name, float(round(x)))
        for method in asked.methods or CURVES
        for x in asked.at or LENGTHS
    ]
    return Reproduction(
        name="training-length",
        about="Macro-F1 against epochs from random initialisation (as Figure 3 of Audibert, Gauffre and Amini, 2024).",
        protocol="Every point is a training of its own with a whole learning rate schedule. Of methods with "
        "pretraining the epochs are those of the pretraining, and a linear classifier on the frozen encoder is scored; "
        "of the others they are all there is, and no average of the parameters is kept.",
        sets=SMALL_SETS,
        seeds=range(3),
        points=tuple(points),
        show=sweep("macro_f1", "map"),
        axis=Axis("epochs", logarithmic=True),
    )


def against_bce(asked: Asked) -> Reproduction:
    named = asked.methods or ("mulsupcon",)
    baseline = next((method for method in named if Variant.parse(method).method == "bce"), "bce")
    challengers = [method for method in named if method != baseline]
    if not challengers:
        raise ManyLabelError("`methods`", f"a method to set against {baseline}", f"{baseline} alone")
    return Reproduction(
        name="win-tie-loss",
        about="A method against binary cross entropy with the same network, masking and budget, over many data sets.",
        protocol="Thresholds are learnt on validation rows. A data set is won or lost where the means over seeds "
        "differ by 0.0005 or more; the Wilcoxon signed-rank test takes one mean difference for each data set.",
        sets=WIN_TIE_LOSS_SETS,
        seeds=range(3),
        points=_plain((baseline, *challengers)),
        show=win_tie_loss,
    )


def pays(asked: Asked) -> Reproduction:
    _check_axis(asked, "shares of the training rows above 0, at most 1", lambda x: 0 < x <= 1)
    shares = dict.fromkeys((*(asked.at or SHARES), 1.0))
    points: list[Point] = []
    for method in dict.fromkeys(asked.methods or CONTRASTED):
        line = Variant.parse(method).name
        for half, name in ((method, line), (without_contrast(method), f"{line}{SUFFIX}")):
            points += (Point(half, name, 100 * share, share) for share in shares)
            points += (Point(half, name, wrong_labels=wrong) for wrong in WRONG_LABELS)
    return Reproduction(
        name="where-contrast-pays",
        about="Every method with a contrastive term beside itself without it: by label frequency, share of the "
        "training rows, number of labels, retrieval, seen and unseen label sets, and wrong labels.",
        protocol="Without contrast everything else stays: network, views, schedule, rates, neighbours, and the time to "
        f"train, as an epoch of pretraining becomes {PRETRAINING_COST:g} epochs of the classifier, to a tenth: "
        "pretraining encodes two views of every row. Of a stack, the network in it is replaced. A share of the "
        "training rows is stratified by label and drawn by the seed, the same for both halves, with as many steps as "
        "all rows get; shares of fewer than 10 rows are left out. Wrong labels: a share of every label's rows loses "
        "it to rows drawn at random, validation rows among them; test labels stay right. Rare, medium and frequent "
        "labels are thirds by training rows; a label set is seen where a training row carries it. Neighbours: training "
        "rows by the cosine of their embeddings with that of a test row, relevant where they share a label.",
        sets=WIN_TIE_LOSS_SETS,
        seeds=range(3),
        points=tuple(points),
        show=where_contrast_pays,
        axis=Axis("% of the training rows", logarithmic=True),
        protocols=("tuned",),
        fewest_rows=10,
        measures=True,
        scales_variants=True,
    )


def automl(asked: Asked) -> Reproduction:
    return Reproduction(
        name="automl-2025",
        about="Random splits of yeast and scene, as a study of sixteen AutoML tools draws them (Scientific Reports, "
        "2025), beside the best tool of each column.",
        protocol="Training and test rows are joined and split anew for every seed, a fifth of them test rows, by "
        "scikit-learn's train_test_split with the seed, one of the first 20 primes, as random_state.",
        sets=("yeast", "scene"),
        seeds=PRIMES,
        points=_plain(asked.methods or AUTOML),
        show=compare_automl,
        paper="automl",
        protocols=PROTOCOLS,
        random_splits=True,
    )


class Item(NamedTuple):
    """A reproduction, and whether methods and values of the axis can be replaced."""

    build: Callable[[Asked], Reproduction]
    takes_methods: bool = True
    takes_at: bool = False


ITEMS = {
    "mulsupcon-table-2-3": Item(tables_2_3),
    "mulsupcon-table-5": Item(table_5, takes_methods=False),
    "mulsupcon-table-8": Item(table_8, takes_methods=False),
    "ablation-best": Item(ablation_best, takes_methods=False),
    "ablation-mulsupcon-knn": Item(ablation_mulsupcon_knn, takes_methods=False),
    "ablation-reg": Item(ablation_reg, takes_methods=False, takes_at=True),
    "ablation-losses": Item(ablation_losses, takes_methods=False),
    "ablation-temperature": Item(ablation_temperature, takes_at=True),
    "ablation-queue": Item(ablation_queue, takes_at=True),
    "low-data": Item(low_data, takes_at=True),
    "training-length": Item(training_length, takes_at=True),
    "win-tie-loss": Item(against_bce),
    "where-contrast-pays": Item(pays, takes_at=True),
    "automl-2025": Item(automl),
}


def get(name: str, asked: Asked = Asked()) -> Reproduction:  # noqa: B008
    """A reproduction by name.

    Raises
    ------
    ManyLabelError
        For an unknown name, or for methods or values that it does not take.
    """
    if name not in ITEMS:
        raise ManyLabelError("reproduce", f"one of {', '.join(ITEMS)}", repr(name), did_you_mean(name, ITEMS))
    item = ITEMS[name]
    if asked.methods is not None and not item.takes_methods:
        raise ManyLabelError("`methods`", f"none, as those of {name} are fixed", ", ".join(asked.methods))
    if asked.at is not None and not item.takes_at:
        raise ManyLabelError("`at`", f"none, as {name} has no curves", ", ".join(map(str, asked.at)))
    return item.build(asked)


def _check_axis(asked: Asked, expected: str, fits: Callable[[float], bool]) -> None:
    wrong = [x for x in asked.at or () if not fits(x)]
    if wrong:
        raise ManyLabelError("`at`", expected, ", ".join(f"{x:g}" for x in wrong))


def _plain(names: Sequence[str]) -> tuple[Point, ...]:
    return tuple(Point(name, Variant.parse(name).name) for name in dict.fromkeys(names))


def _grid(asked: Asked, usual: Sequence[str], setting: str, values: Sequence[float]) -> tuple[Point, ...]:
    """Every method at every value of a setting."""
    return tuple(
        Point(_with(method, {setting: _number(x)}), Variant.parse(method).name, x)
        for method in asked.methods or usual
        for x in asked.at or values
    )


def _with(method: str, settings: dict[str, object]) -> str:
    variant = Variant.parse(method)
    return str(Variant(variant.method, {**variant.settings, **settings}))


def _number(x: float) -> float | int:
    return int(x) if x == int(x) else x


def _of_length(method: str, epochs: int) -> str:
    recipe = methods.get(Variant.parse(method).method).recipe
    found = recipe.own_settings
    pretrained = [kind for kind, own in found.items() if getattr(own, "pretrain", None) is not None]
    settings: dict[str, object] = {}
    if not pretrained:
        settings = {"classify.stage.epochs": epochs, "classify.stage.ema": None}
    for kind in pretrained:
        prefix = "" if len(pretrained) == len(found) else f"{kind}."
        settings |= {f"{prefix}pretrain.stage.epochs": epochs, f"{prefix}classify.encoder_rate": 0}
    return _with(method, settings)


def _probes(name: str, about: str, table: str, losses: dict[str, str]) -> Reproduction:
    points = tuple(Point(f"{method}[classify.encoder_rate=0]", line) for line, method in losses.items())
    sets = ("yeast", "scene", "delicious", "miml_scenes")
    show = compare_losses(table)
    return Reproduction(name, about, PROBE, sets, range(3), points, show, paper="mulsupcon")
