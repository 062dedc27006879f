"""Fitted scikit-learn and LightGBM estimators as JSON and arrays, without pickle: only listed classes come back."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse as sp

from manylabel.errors import ManyLabelError
from manylabel.methods.estimator_checks import Refused, check_object, check_random_state
from manylabel.methods.lightgbm_text import booster_of, text_of

Array = np.ndarray[Any, Any]

PACKAGES = ("sklearn", "lightgbm")
_CLOSED = {"tests", "conftest", "externals", "datasets", "experimental", "_build_utils", "utils"}  # modules
_STATEFUL = (  # small classes beside estimators, made without a call and given their attributes
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.LogLink",
    "sklearn._loss.link.HalfLogitLink",
    "sklearn._loss.loss.AbsoluteError",
    "sklearn._loss.loss.ExponentialLoss",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.gaussian_process.kernels.CompoundKernel",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.DotProduct",
    "sklearn.gaussian_process.kernels.Exponentiation",
    "sklearn.gaussian_process.kernels.ExpSineSquared",
    "sklearn.gaussian_process.kernels.Matern",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RationalQuadratic",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.gaussian_process.kernels.Sum",
    "sklearn.gaussian_process.kernels.WhiteKernel",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
)
_CALLED = (  # compiled losses, made by a call with numbers
    "sklearn._loss._loss.CyAbsoluteError",
    "sklearn._loss._loss.CyExponentialLoss",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfMultinomialLoss",
    "sklearn._loss._loss.CyHalfSquaredError",
    "sklearn.linear_model._sgd_fast.EpsilonInsensitive",
    "sklearn.linear_model._sgd_fast.Hinge",
    "sklearn.linear_model._sgd_fast.Huber",
    "sklearn.linear_model._sgd_fast.ModifiedHuber",
    "sklearn.linear_model._sgd_fast.SquaredEpsilonInsensitive",
    "sklearn.linear_model._sgd_fast.SquaredHinge",
    "sklearn.linear_model._sgd_fast.SquaredLoss",
)
_NEIGHBOUR_TREES = ("sklearn.neighbors._ball_tree.BallTree", "sklearn.neighbors._kd_tree.KDTree")
_TREE = "sklearn.tree._tree.Tree"
_TYPES = {kind.__name__: kind for kind in (np.float64, np.float32, np.int64, np.int32, np.uint8, np.bool_)}
_BEGIN = 64  # arrays begin at multiples of so many bytes


class NotWritten(ManyLabelError):
    """An estimator that cannot be written without code."""


def pack(estimator: Any, who: str) -> tuple[Any, Array]:
    """An estimator as JSON, and the bytes of its arrays.

    Parameters
    ----------
    estimator : fitted estimator, or a list of such
    who : str
        For messages.

    Returns
    -------
    value : what fits in JSON
    content : (n_bytes,) uint8 array

    Raises
    ------
    NotWritten
        For an estimator of another package, and one that holds something that cannot be written without code; the
        message names it. The estimator stays as it is.
    """
    writer = _Writer()
    try:
        value = writer.value(estimator, "")
    except Refused as error:
        expected = "an estimator whose state is numbers, arrays and estimators of scikit-learn or LightGBM"
        hint = "The trained model can be used in this process, but not saved: take another estimator or parameter."
        raise NotWritten(who, expected, str(error), hint) from error
    return value, writer.content()


def unpack(value: Any, content: Array, who: str) -> Any:
    """What :func:`pack` wrote; no class outside the list is imported, and nothing that a file names is run.

    Raises
    ------
    ManyLabelError
        For a class outside the list, arrays that do not fit, and numbers that compiled code would follow out of its
        arrays.
    """
    try:
        return _Reader(content).value(value)
    except Exception as error:  # whatever a file that was tampered with leads to
        got = f"{error}" if isinstance(error, Refused) else f"{type(error).__name__}: {str(error)[:200]}"
        hint = "Train again, or take a copy of the model folder from somebody whom you trust."
        raise ManyLabelError(who, "the state of a fitted estimator", got, hint) from error


class _Writer:
    """Values as JSON; each array goes into one content, and stands in the JSON by its place there."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.size = 0
        self.known: dict[tuple[Any, ...], dict[str, Any]] = {}
        self.kept: list[Array] = []  # as long as they are known by their address

    def content(self) -> Array:
        return np.frombuffer(b"".join(self.pieces), np.uint8)

    def value(self, value: Any, path: str) -> Any:
        """A value of any kind that can be written; ``path`` names it in messages."""
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if type(value) is list:
            return [self.value(inner, f"{path}[{i}]") for i, inner in enumerate(value)]
        for kind, write in self._ways():
            if isinstance(value, kind):
                return write(value, path)
        return self._object(value, path)

    def _ways(self) -> Iterator[tuple[Any, Callable[[Any, str], Any]]]:
        yield (
            tuple,
            lambda value, path: {"tuple": [self.value(v, f"{path}[{i}]") for i, v in enumerate(value)]},
        )
        yield dict, self._mapping
        yield np.ndarray, self._array
        yield np.generic, lambda value, path: {"scalar": self._array(np.asarray(value), path)}
        yield sp.spmatrix | sp.sparray, self._sparse
        yield np.dtype, lambda value, path: {"dtype": value.str}
        yield (
            np.random.RandomState,
            lambda value, path: {"random_state": self.value(value.get_state(False), path)},
        )
        yield (
            np.random.Generator,
            lambda value, path: {"generator": self.value(value.bit_generator.state, path)},
        )
        yield type, self._type

    def _mapping(self, value: dict[Any, Any], path: str) -> dict[str, Any]:
        bunch = {"bunch": True} if _name(type(value)) == "sklearn.utils._bunch.Bunch" else {}
        pairs = [[self.value(k, path), self.value(v, f"{path}[{k!r}]")] for k, v in value.items()]
        return {"dict": pairs} | bunch

    def _array(self, value: Array, path: str) -> dict[str, Any]:
        if value.dtype.kind == "O":
            inner = [self.value(v, f"{path}[{i}]") for i, v in enumerate(value.ravel())]
            return {"objects": inner, "shape": list(value.shape)}
        if value.dtype.hasobject:
            raise Refused(f"`{path}` of type {value.dtype}")
        key = (value.__array_interface__["data"][0], value.shape, value.strides, value.dtype.str)
        if value.size and key in self.known and not value.dtype.names:
            return self.known[key]
        fortran = value.flags.f_contiguous and not value.flags.c_contiguous
        told = {
            "array": self._append(value.tobytes("F" if fortran else "C")),
            "dtype": value.dtype.str if value.dtype.names is None else _fields(value.dtype),
            "shape": list(value.shape),
        } | ({"order": "F"} if fortran else {})  # products of matrices round as their orders say
        self.known[key] = told
        self.kept.append(value)
        return told

    def _append(self, content: bytes) -> int:
        start = self.size
        padded = content + bytes(-len(content) % _BEGIN)
        self.pieces.append(padded)
        self.size += len(padded)
        return start

    def _sparse(self, value: Any, path: str) -> dict[str, Any]:
        if value.format not in ("csr", "csc"):
            value = value.tocsr()
        parts = [self._array(part, path) for part in (value.data, value.indices, value.indptr)]
        return {
            "sparse": value.format,
            "matrix": sp.isspmatrix(value),
            "shape": list(value.shape),
            "parts": parts,
        }

    def _type(self, value: type, path: str) -> dict[str, Any]:
        if _TYPES.get(value.__name__) is not value:
            raise Refused(f"`{path}`, the class {_name(value)}")
        return {"type": value.__name__}

    def _object(self, value: Any, path: str) -> dict[str, Any]:
        name = _name(type(value))
        if name == "lightgbm.basic.Booster":
            return {"booster": text_of(value)}
        if name in _NEIGHBOUR_TREES:
            return {"neighbour_tree": name}
        if name == _TREE:
            _, arguments, state = value.__reduce__()
            return {"tree": self.value([*arguments, state], path)}
        if name in _CALLED:
            return {"called": name, "arguments": self.value(list(value.__reduce__()[1]), path)}
        try:
            _class(name)
        except Refused:
            raise Refused(f"`{path}` of type {name}" if path else f"a {name}") from None
        state = self.value(value.__getstate__() or {}, f"{path}.{type(value).__name__}".lstrip("."))
        check_object(value)
        return {"object": name, "state": state}


class _Reader:
    """Values from JSON and the bytes of the arrays."""

    def __init__(self, content: Array) -> None:
        self.content = content
        self.ways: dict[str, Callable[[Any], Any]] = {
            "float": lambda told: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[told["float"]],
            "tuple": lambda told: tuple(map(self.value, told["tuple"])),
            "dict": self._mapping,
            "objects": self._objects,
            "array": self._array,
            "scalar": lambda told: self._array(told["scalar"])[()],
            "sparse": self._sparse,
            "dtype": lambda told: _dtype(told["dtype"]),
            "random_state": self._random_state,
            "generator": self._generator,
            "type": lambda told: _TYPES[told["type"]],
            "booster": lambda told: booster_of(told["booster"]),
            "neighbour_tree": lambda told: _NeighbourTree(told["neighbour_tree"]),
            "tree": self._tree,
            "called": self._called,
            "object": self._object,
        }

    def value(self, told: Any) -> Any:
        if isinstance(told, list):
            return [self.value(inner) for inner in told]
        if not isinstance(told, dict):
            return told
        return self.ways[next(name for name in told if name in self.ways)](told)

    def _mapping(self, told: dict[str, Any]) -> dict[Any, Any]:
        found = {self.value(k): self.value(v) for k, v in told["dict"]}
        if not told.get("bunch"):
            return found
        from sklearn.utils import Bunch

        return Bunch(**found)  # type: ignore[no-any-return]

    def _objects(self, told: dict[str, Any]) -> Array:
        inner = self.value(told["objects"])
        made = np.empty(len(inner), dtype=object)
        made[:] = inner
        return made.reshape(told["shape"])

    def _array(self, told: dict[str, Any]) -> Array:
        dtype, shape, start = _dtype(told["dtype"]), told["shape"], told["array"]
        end = start + math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or not 0 <= start <= end <= len(self.content):
            raise Refused(f"an array of shape {shape} outside the {len(self.content)} bytes of the file")
        flat = np.frombuffer(self.content[start:end].tobytes(), dtype)
        return flat.reshape(shape, order=told.get("order", "C")).copy("K")

    def _sparse(self, told: dict[str, Any]) -> Any:
        kind = {
            ("csr", True): sp.csr_matrix,
            ("csc", True): sp.csc_matrix,
            ("csr", False): sp.csr_array,
            ("csc", False): sp.csc_array,
        }[told["sparse"], told["matrix"]]
        made = kind(tuple(map(self._array, told["parts"])), shape=tuple(told["shape"]))
        made.check_format(full_check=True)
        return made

    def _random_state(self, told: dict[str, Any]) -> np.random.RandomState:
        state, made = self.value(told["random_state"]), np.random.RandomState()
        check_random_state(state)
        made.set_state(state)
        return made

    def _generator(self, told: dict[str, Any]) -> np.random.Generator:
        state, made = self.value(told["generator"]), np.random.PCG64()
        made.state = state
        return np.random.Generator(made)

    def _tree(self, told: dict[str, Any]) -> Any:
        from sklearn.tree._tree import Tree

        n_features, n_classes, n_outputs, state = self.value(told["tree"])
        sound = n_classes.shape == (n_outputs,) and n_classes.dtype.kind == "i" and (n_classes > 0).all()
        shape = (len(state["nodes"]), n_outputs, int(n_classes.max()) if sound else 0)
        if not sound or state["values"].shape != shape or state["node_count"] != len(state["nodes"]):
            raise Refused(
                f"a tree of {state['node_count']} nodes with values of shape {state['values'].shape}"
            )
        made = Tree(n_features, n_classes, n_outputs)
        made.__setstate__(state)
        return made

    def _called(self, told: dict[str, Any]) -> Any:
        name, arguments = told["called"], told["arguments"]
        if name not in _CALLED or not all(isinstance(number, int | float) for number in arguments):
            raise Refused(f"a call of {name!r:.80}")
        return _imported(name)(*arguments)

    def _object(self, told: dict[str, Any]) -> Any:
        kind = _class(told["object"])
        made, state = kind.__new__(kind), self.value(told["state"])
        if isinstance(state.get("_tree"), _NeighbourTree):
            state["_tree"] = state["_tree"].built(state)
        with _other_versions_told_once():
            made.__setstate__(state) if hasattr(made, "__setstate__") else vars(made).update(state)
        check_object(made)
        return made


class _NeighbourTree:
    """The search tree of an estimator of neighbours, built anew from the training rows."""

    def __init__(self, name: str) -> None:
        if name not in _NEIGHBOUR_TREES:
            raise Refused(f"a search tree of class {name!r:.80}")
        self.name = name

    def built(self, state: dict[str, Any]) -> Any:
        kind, metric = _imported(self.name), state["effective_metric_"]
        if metric not in kind.valid_metrics or metric == "pyfunc":
            raise Refused(f"a search tree of metric {metric!r:.80}")
        return kind(state["_fit_X"], state["leaf_size"], metric=metric, **state["effective_metric_params_"])


def _class(name: str) -> Any:
    """A listed class, or an estimator of scikit-learn or LightGBM.

    Raises
    ------
    Refused
        For any other; modules outside these packages are not even imported.
    """
    if name in _STATEFUL:
        return _imported(name)
    parts = name.split(".")
    of_package = name.startswith(("sklearn.", "lightgbm.sklearn.")) and all(map(str.isidentifier, parts))
    if not of_package or len(parts) < 3 or _CLOSED & set(parts):
        raise Refused(f"an object of class {name!r:.80}")
    from sklearn.base import BaseEstimator, OutlierMixin

    kind = _imported(name)
    if not isinstance(kind, type) or not issubclass(kind, BaseEstimator) or issubclass(kind, OutlierMixin):
        raise Refused(f"an object of class {name!r:.80}")
    if _name(kind) != name:  # what a module imported from elsewhere
        raise Refused(f"an object of class {name!r:.80}")
    return kind


def _imported(name: str) -> Any:
    module, _, last = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), last)
    except (ImportError, AttributeError):
        raise Refused(f"an object of class {name!r:.80}, which this version does not have") from None


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _fields(dtype: Any) -> dict[str, Any]:
    """A type of records, with the places of its fields."""
    names = list(dtype.names)
    return {
        "names": names,
        "formats": [dtype.fields[name][0].str for name in names],
        "offsets": [dtype.fields[name][1] for name in names],
        "itemsize": dtype.itemsize,
    }


def _dtype(told: Any) -> Any:
    dtype = np.dtype(told)
    if dtype.hasobject or dtype.itemsize == 0:
        raise Refused(f"an array of type {dtype}")
    return dtype


@contextmanager
def _other_versions_told_once() -> Iterator[None]:
    """Without the warning of each estimator: the reader of a model tells of other versions itself."""
    import warnings

    from sklearn.exceptions import InconsistentVersionWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        yield
