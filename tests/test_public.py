"""The public surface, pinned; and what importing it costs."""

import subprocess
import sys

import pytest

import manylabel


def test_the_public_names_are_these():
    assert sorted(manylabel.__all__) == [
        "LabelMatrix",
        "ManyLabelError",
        "MultiLabelClassifier",
        "MultiLabelEmbedder",
        "__version__",
        "data",
        "embed",
        "estimator",
        "losses",
        "methods",
        "metrics",
        "models",
        "reproduction",
        "study",
        "training",
    ]
    for name in manylabel.__all__:
        assert getattr(manylabel, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = manylabel.nothing


@pytest.mark.parametrize("module", ["manylabel", "manylabel.losses", "manylabel.labels"])
def test_importing_a_loss_costs_torch_and_numpy_only(module):
    heavy = "{'scipy', 'sklearn', 'pydantic', 'rich', 'typer', 'matplotlib', 'kornia', 'pooch', 'jinja2'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
