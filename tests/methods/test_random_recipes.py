"""Recipes of random values, places and layouts end in a method or in our own error, never in a traceback."""

import random
import warnings

import pytest

from manylabel import ManyLabelError
from manylabel.methods import get, names
from manylabel.methods.recipe_files import read

VALUES = (
    *(
        "5",
        "-1",
        "0",
        "1.5",
        "-0.0",
        "1e400",
        "-1e400",
        "nan",
        "inf",
        "10000000000000000000000",
        "true",
        "false",
    ),
    *(
        '""',
        '"x"',
        '"mulsupcon"',
        '"0.1"',
        '"nan"',
        '"\\u0000"',
        '"\\u001b[31m"',
        '"mean"',
        '"none"',
        "'''\na\n'''",
    ),
    *(
        "[]",
        "[1]",
        "[[]]",
        '["x"]',
        "[1, 2.5]",
        "[{}]",
        "[0, -1]",
        "{}",
        "{a = 1}",
        "{name = 5}",
        "{stage = {}}",
    ),
    *("1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "0x10", "1_0"),
)
ROOT = (
    "like",
    "without",
    "family",
    "name",
    "about",
    "source",
    "members",
    "expected",
    "loss",
    "classifier",
    "colour",
)
FAMILIES = ("logit", "contrastive", "kmcl", "lamp", "mpvae", "rbcc", "cgmvae", "sklearn_baseline")
SHIPPED = names()


def places():
    """Dotted settings of the recipes that ship, their sections, and ends that none has."""
    found = set(ROOT) | {
        "vectors",
        "images",
        "text",
        "vectors.neighbours.k",
        "images.contrast.balance",
        "text.without",
    }

    def walk(node, path):
        for key, value in node.items():
            found.add(f"{path}{key}")
            if isinstance(value, dict):
                found.add(f"{path}{key}.unknown")
                walk(value, f"{path}{key}.")

    for name in SHIPPED:
        for layer in read(name):
            walk(layer, "")
    return tuple(sorted(found))


PLACES = places()


def drawn(seed):
    """A recipe that is like one that ships or none, with some settings changed."""
    rng = random.Random(seed)
    lines = {}
    if rng.random() < 0.8:
        lines["like"] = repr(rng.choice(SHIPPED)).replace("'", '"')
    else:
        lines |= {"family": f'"{rng.choice(FAMILIES)}"', "loss": '"bce"', "about": '"a"', "source": '"b"'}
    for _ in range(rng.randint(0, 3)):
        place = rng.choice(PLACES)
        cut = [other for other in lines if other.startswith(f"{place}.") or place.startswith(f"{other}.")]
        for other in cut:
            del lines[other]  # TOML has no setting within a value
        lines[place] = rng.choice(VALUES)
    text = "".join(f"{place} = {value}\n" for place, value in lines.items())
    if rng.random() < 0.1:
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice('=[]{}"\n.#\\') + text[at + 1 :]
    return text


def check(seed, folder):
    file = folder / "drawn.toml"
    file.write_text(drawn(seed), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return get(str(file)).name
        except ManyLabelError as error:
            assert error.who  # noqa: PT017
            return None


@pytest.mark.parametrize("block", range(3))
def test_random_recipes(block, tmp_path):
    taken = [check(seed, tmp_path) for seed in range(50 * block, 50 * (block + 1))]
    assert any(taken)
    assert not all(taken)


@pytest.mark.slow
def test_many_random_recipes(tmp_path):
    taken = [check(seed, tmp_path) for seed in range(1000, 2500)]
    assert 0 < sum(name is not None for name in taken) < len(taken)


def test_recipes_that_are_like_themselves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.toml").write_text('like = "b.toml"\n')
    (tmp_path / "b.toml").write_text('like = "a.toml"\n')
    (tmp_path / "c.toml").write_text('like = "./c.toml"\n')
    for name in ("a.toml", "c.toml"):
        with pytest.raises(ManyLabelError, match="a recipe that is not like itself"):
            get(name)
    for i in range(12):
        (tmp_path / f"r{i}.toml").write_text(f'like = "{f"r{i - 1}.toml" if i else "bce"}"\n')
    assert get("r11.toml").recipe.family == "logit"


@pytest.mark.parametrize("text", ["a = " + "[" * 5000 + "]" * 5000, "a = " + "{b = " * 100 + "1" + "}" * 100])
def test_recipes_that_are_nested_deeply(text, tmp_path):
    (tmp_path / "deep.toml").write_text(text)
    with pytest.raises(ManyLabelError, match="deep"):
        get(str(tmp_path / "deep.toml"))


def test_a_byte_order_mark_is_no_part_of_a_recipe(tmp_path):
    (tmp_path / "marked.toml").write_bytes(b'\xef\xbb\xbflike = "bce"\n')
    assert get(str(tmp_path / "marked.toml")).name == "marked"
