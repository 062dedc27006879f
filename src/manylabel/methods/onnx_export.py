"""ONNX export: standardisation, network, calibration and thresholds of a model in one file, for any number of rows."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manylabel import files
from manylabel.errors import ManyLabelError, missing_extra
from manylabel.methods.networks import copied
from manylabel.methods.onnx_graph import MOST_BYTES, Decisions, Graph, example, of_calibration, of_scorer
from manylabel.methods.part import Scorer
from manylabel.metrics import Threshold
from manylabel.models.inputs.images import ImagePreprocessor

_FARTHEST = 1e-4  # between probabilities of the two runtimes, where rows are tried before a file is written


def write_onnx(
    path: str | Path,
    scorer: Scorer,
    threshold: Threshold,
    label_names: Sequence[str],
    *,
    calibration: Any = None,
    vectors: bool = False,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write a model as an ONNX file.

    It takes ``X``: raw rows (n, n_features) as in training, float32, or float64 where the training rows needed it; or
    pictures (n, channels, height, width) from 0 to 255, float32. It gives ``probabilities`` (n, n_labels) float32 and
    ``labels`` (n, n_labels) bool. Of training rows that are equally near, neighbours may take others than
    scikit-learn does.

    Parameters
    ----------
    path : str or Path
    scorer : Scorer
        Networks, ensembles of them, neighbours beside them, linear models, trees, or a stack of such.
    threshold : Threshold
        Of the scores.
    label_names : sequence of n_labels str
    calibration : Calibration, optional
        Makes probabilities of scores, where they are not the scores.
    vectors : bool, default False
        Of a model of texts: it takes their TF-IDF vectors.
    about : mapping, optional
        Kept as metadata under ``manylabel.NAME``, in JSON.

    Raises
    ------
    ManyLabelError
        For a model that ONNX cannot hold, such as nearest neighbours of scikit-learn or one of more than 2 GB; where
        the package is missing; or where onnxruntime computes something else from the file, which is not written then.
    """
    place = files.as_path(path, "ONNX, path")
    _require()
    graph = of_scorer(scorer)
    rows = example(graph.inputs, vectors)
    module = copied(Decisions(graph, threshold, of_calibration(calibration))).cpu().eval()
    size = sum(t.numel() * t.element_size() for t in module.state_dict().values())
    if size > MOST_BYTES:
        hint = "Lower the widths."
        raise ManyLabelError("ONNX", "a model that fits in a file of 2 GB", f"{size / 1e9:.3g} GB", hint)
    proto = _converted(module, rows)
    told = {"label_names": list(label_names), **(about or {})}
    for name, value in told.items():
        proto.metadata_props.add(key=f"manylabel.{name}", value=json.dumps(value, ensure_ascii=False))
    content: bytes = proto.SerializeToString()
    _try_out(content, module, _rows_like(graph, rows))
    files.write(place, content)


def _require() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise missing_extra("ONNX", error.name or "onnx", "export") from None


def _converted(module: nn.Module, rows: Tensor) -> Any:
    """The model in ONNX's own form; a network that fixes the number of rows is refused rather than recorded so."""
    any_number = ({0: torch.export.Dim("n")},)
    try:
        with _quiet(), torch.no_grad():
            program = torch.export.export(module, (rows,), dynamic_shapes=any_number, strict=False)
            made = torch.onnx.export(
                program,
                dynamo=True,
                input_names=["X"],
                output_names=["probabilities", "labels"],
                external_data=False,
                verbose=False,
            )
        assert made is not None
        return _named(made.model_proto)
    except Exception as error:  # whatever a network of the caller's own may bring
        got = f"one that torch cannot export ({type(error).__name__}: {str(error).splitlines()[0][:200]})"
        hint = "Take numbers of rows from x.shape[0] and choose nothing by the values of rows."
        raise ManyLabelError("ONNX", "a network of tensors for any number of rows", got, hint) from error


def _named(proto: Any) -> Any:
    """The number of rows called n, in place of a symbol of torch's own."""
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    del proto.graph.value_info[:]  # shapes of what lies between, in that symbol; runtimes find them anew
    return proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what torch says of its own parts and of packages that are not there."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _rows_like(graph: Graph, rows: Tensor) -> Tensor:
    """Three rows as training rows might have been."""
    generator = torch.Generator().manual_seed(0)
    if isinstance(graph.inputs, ImagePreprocessor):
        return torch.randint(0, 256, (3, *rows.shape[1:]), generator=generator).to(rows.dtype)
    drawn = torch.randn(3, *rows.shape[1:], generator=generator, dtype=rows.dtype)
    fits = graph.inputs.mean.shape == rows.shape[1:]
    return drawn * graph.inputs.scale.cpu() + graph.inputs.mean.cpu() if fits else drawn


@torch.no_grad()
def _try_out(content: bytes, module: nn.Module, rows: Tensor) -> None:
    """Refuse a file from which onnxruntime does not compute what torch does."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    P = session.run(["probabilities"], {"X": rows.numpy()})[0]
    farthest = float(np.abs(P - module(rows)[0].numpy()).max())
    if not farthest <= _FARTHEST:
        got = f"probabilities that differ by {farthest:.3g}"
        hint = "Nothing was written. Neighbours as near as one another come in any order: leave them out."
        raise ManyLabelError("ONNX", "the probabilities that torch computes", got, hint)
