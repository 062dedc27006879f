"""Methods by name: recipes that turn training rows into scorers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from manylabel import files
from manylabel.errors import ManyLabelError
from manylabel.methods import ensemble, knn_interpolation
from manylabel.methods.cgmvae import CGMVAEMethod, CGMVAESettings
from manylabel.methods.contrastive import ContrastiveMethod, ContrastiveSettings
from manylabel.methods.ensemble import EnsembleScorer
from manylabel.methods.kmcl import KMCLMethod, KMCLSettings
from manylabel.methods.knn_interpolation import NeighbourScorer
from manylabel.methods.label_network import LabelNetworkMethod, LabelNetworkScorer
from manylabel.methods.lamp import LaMPMethod, LaMPSettings
from manylabel.methods.logit import LogitMethod
from manylabel.methods.method import Method
from manylabel.methods.mpvae import MPVAEMethod, MPVAESettings
from manylabel.methods.networks import check_network
from manylabel.methods.rbcc import RBCCMethod, RBCCSettings
from manylabel.methods.recipe import AnySettings, Settings
from manylabel.methods.recipe_files import PAPER, names, read, short_name
from manylabel.methods.resolve import Recipe, resolve_recipe
from manylabel.methods.scorer import NetworkScorer, Scorer
from manylabel.methods.sklearn_baseline import SklearnBaselineMethod, SklearnBaselineSettings, load_trusted
from manylabel.training import checkpoint


class Family(NamedTuple):
    """The code of the recipes that name this family, and the settings that they may hold."""

    method: Any
    settings: type[AnySettings]


FAMILIES = {
    "logit": Family(LogitMethod, Settings),
    "contrastive": Family(ContrastiveMethod, ContrastiveSettings),
    "kmcl": Family(KMCLMethod, KMCLSettings),
    "lamp": Family(LaMPMethod, LaMPSettings),
    "mpvae": Family(MPVAEMethod, MPVAESettings),
    "rbcc": Family(RBCCMethod, RBCCSettings),
    "cgmvae": Family(CGMVAEMethod, CGMVAESettings),
    "sklearn_baseline": Family(SklearnBaselineMethod, SklearnBaselineSettings),
}


def get(name: str, *, encoder: nn.Module | None = None, **overrides: Any) -> Method:
    """A method by its recipe.

    Parameters
    ----------
    name : str
        One of :func:`names`, the path of a recipe file that ends in ``.toml``, or the import path of a classifier of
        scikit-learn's kind, such as ``sklearn.neighbors.KNeighborsClassifier``.
    encoder : nn.Module, optional
        A network (B, *shape) -> (B, H) in place of the recipe's, for methods that train an encoder.
    **overrides
        Settings that replace those of the recipe, by dotted name: ``get("bce", **{"classify.stage.epochs": 5})``. A
        setting of a section that the recipe has for one kind of data alone is refused when it meets another.

    Raises
    ------
    ManyLabelError
        For an unknown method or setting, or a value that a setting does not take; the message lists the known ones.
    """
    layers = read(name)
    name = short_name(name)
    named = next((layer["family"] for layer in reversed(layers) if "family" in layer), None)
    family = FAMILIES.get(named) if isinstance(named, str) else None
    if family is None:
        expected = f"a family, one of {', '.join(FAMILIES)}"
        raise ManyLabelError(f"method {name}", expected, f"{named!r:.60}")
    recipe = resolve_recipe(name, layers, family.settings, overrides)
    trainers = {kind: family.method(settings, encoder) for kind, settings in recipe.settings.items()}
    return Method(recipe, trainers)


def load_scorer(path: str | Path, encoder: nn.Module | None = None, *, trusted: bool = False) -> Scorer:
    """Read what the ``save`` of any scorer wrote.

    Parameters
    ----------
    path : str or Path
    encoder : nn.Module, optional
        The network, for a scorer that was trained with a network of the caller's own.
    trusted : bool, default False
        Scikit-learn baselines are kept as ``model.joblib``, pickled: reading such a file runs whatever code is in
        it. True says that you trust whoever wrote it.

    Raises
    ------
    ManyLabelError
        If the file is not a scorer, if it needs ``encoder`` and none is given, or if it is pickled and not trusted.
    """
    path = files.as_path(path, "load_scorer")
    check_network("load_scorer", encoder)
    if path.suffix == ".joblib":
        if not trusted:
            hint = "It can run any code when it is read: pass trusted=True if you know who wrote it."
            raise ManyLabelError(str(path), "a file without code", "a pickled scikit-learn baseline", hint)
        return load_trusted(path)
    tensors, meta = checkpoint.load(path)
    try:
        return _restored(path, tensors, meta, encoder, trusted)
    except ManyLabelError:
        raise
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        got = f"one of another version ({type(error).__name__}: {str(error)[:100]})"
        hint = "Read it with the version that wrote it, or train again."
        raise ManyLabelError(str(path), "a scorer of this version", got, hint) from error


def _restored(
    path: Path, tensors: checkpoint.Tensors, meta: dict[str, Any], encoder: nn.Module | None, trusted: bool
) -> Scorer:
    def part(file: Path) -> Scorer:
        pickled = file.with_suffix(".joblib")
        return load_scorer(pickled if pickled.exists() else file, encoder, trusted=trusted)

    if meta.get("type") == ensemble.type_name:
        return EnsembleScorer.load(path, int(tensors["members"]), part)
    if meta.get("type") == knn_interpolation.type_name:
        return NeighbourScorer.load(path, part)
    family = FAMILIES.get(meta.get("type", ""))
    if family is None:
        return NetworkScorer.load(path, encoder)
    scorer: Scorer = family.method.restore(tensors, meta)
    return scorer


__all__ = [
    "PAPER",
    "LabelNetworkMethod",
    "LabelNetworkScorer",
    "Method",
    "NetworkScorer",
    "Recipe",
    "Scorer",
    "get",
    "load_scorer",
    "names",
    "short_name",
]
