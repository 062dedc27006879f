"""Recipes: what ships is valid, what is changed is checked."""

import pytest

from manylabel import ManyLabelError, losses, methods


@pytest.mark.parametrize("name", methods.names())
def test_every_recipe_says_what_it_is_and_what_it_reaches(name):
    recipe = methods.get(name).recipe
    assert recipe.name == name
    assert len(recipe.about) > 40
    assert recipe.source
    assert all(e.minutes > 0 and e.seeds >= 3 for e in recipe.expected)


@pytest.mark.parametrize("name", ["bce", "mulsupcon"])  # the others are measured where a table needs them
def test_a_recipe_that_the_readme_compares_says_what_it_reaches(name):
    assert {e.data for e in methods.get(name).recipe.expected} >= {"digits", "yeast", "scene"}


def test_mulsupcon_knn_is_mulsupcon_beside_its_neighbours_and_joint_on_pictures():
    best, mulsupcon, joint = (
        methods.get(name).recipe for name in ("mulsupcon_knn", "mulsupcon", "joint_mulsupcon")
    )
    for kind, like in (("vectors", mulsupcon), ("images", joint)):
        own, its = best.resolve(kind), like.resolve(kind)
        assert own.neighbours is not None
        for section in ("encoder", "pretrain", "contrast", "classify"):
            assert getattr(own, section) == getattr(its, section)
    assert best.members == 1


def test_a_setting_goes_where_its_section_is():
    recipe = methods.get("mulsupcon_knn", **{"neighbours.k": 3, "classify.stage.epochs": 2}).recipe
    for settings in (recipe.resolve("vectors"), recipe.resolve("images"), recipe.resolve("text")):
        assert (settings.neighbours.k, settings.classify.stage.epochs) == (3, 2)
    recipe = methods.get("mulsupcon_knn", **{"vectors.pretrain.queue": 7}).recipe
    assert (recipe.resolve("vectors").pretrain.queue, recipe.resolve("images").pretrain) == (7, None)
    joined = methods.get("bce", **{"neighbours.k": 3}).recipe  # in a new section it goes to both
    assert joined.resolve("vectors").neighbours == joined.resolve("images").neighbours


def test_a_recipe_file_can_do_without_what_it_takes_over(tmp_path):
    file = tmp_path / "mine.toml"
    text = 'like = "mulsupcon"\nwithout = ["vectors.classify.stage.ema"]\n'
    file.write_text(text)
    mine, mulsupcon = (
        methods.get(name).recipe.resolve("vectors").classify.stage for name in (str(file), "mulsupcon")
    )
    assert mulsupcon.ema is not None
    assert mine == mulsupcon.model_copy(update={"ema": None})
    file.write_text('like = "mulsupcon"\nwithout = ["classify.stage.ema"]')  # of both kinds of data
    assert methods.get(str(file)).recipe.resolve("vectors").classify.stage.ema is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('like = "bce"\nwithout = ["vectors.emma"]', r"without: expected settings .* got 'vectors\.emma'"),
        ('like = "bce"\nwithout = ["family"]', r"without: expected settings .* got 'family'"),
        ('like = "bce"\nwithout = "images.encoder"', r"without: expected a list"),
        ('like = "bce"\nwithout = [3]', r"without: expected a list"),
        ('family = "logit"\nwithout = ["images.encoder"]', r"without: expected like"),
        ('like = "lamp"\nloss = "asl"', r"expected no setting of this name"),
        (
            'loss = "asl"\nlike = "bce"\nwithout = ["vectors.classify"]',
            r"mine, classify: expected a value",
        ),
    ],
)
def test_a_recipe_file_that_makes_no_sense_is_refused(tmp_path, text, message):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ManyLabelError, match=message):
        methods.get(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize("method", ["mulsupcon_knn", "bce"])
def test_the_order_of_settings_does_not_matter(method):
    settings = {"vectors.neighbours.k": 3, "neighbours.weight": 0.3}
    one, other = (
        methods.get(method, **dict(items)).recipe for items in (settings.items(), reversed(settings.items()))
    )
    assert one == other


def test_a_section_left_at_its_default_is_set_for_both_kinds(tmp_path):
    file = tmp_path / "mine.toml"
    estimator = 'estimator = "sklearn.linear_model.LogisticRegression"'
    text = f'family = "sklearn_baseline"\nabout = "x"\nsource = "x"\n[images]\n{estimator}\n[vectors]\n{estimator}\n'
    file.write_text(text + "[vectors.parameters]\nC = 1.0\n")
    recipe = methods.get(str(file), **{"parameters.C": 5}).recipe
    assert recipe.resolve("vectors").parameters == recipe.resolve("images").parameters == {"C": 5}


def test_a_setting_of_a_section_that_a_recipe_lacks_says_what_else_it_needs():
    with pytest.raises(ManyLabelError, match=r"joint_mulsupcon, vectors: expected pretrain\.stage as well"):
        methods.get("joint_mulsupcon", **{"pretrain.temperature": 0.2})


def test_what_only_the_other_kind_of_data_has_is_refused_there():
    recipe = methods.get("mulsupcon_knn", **{"pretrain.temperature": 0.2}).recipe
    assert recipe.resolve("vectors").pretrain.temperature == 0.2
    message = r"mulsupcon_knn, images: .* got 'pretrain\.temperature'.*vectors\.pretrain"
    with pytest.raises(ManyLabelError, match=message):
        recipe.resolve("images")
    settings = {"vectors.pretrain.temperature": 0.2, "members": 2, "classify.stage.lr": 0.1}
    assert methods.get("mulsupcon_knn", **settings).recipe.resolve("images").members == 2


def test_a_recipe_is_refused_for_the_data_that_it_cannot_train_on():
    recipe = methods.get("mulsupcon_knn", **{"classify.encoder_rate": 0.0}).recipe
    assert recipe.resolve("vectors").classify.encoder_rate == 0
    with pytest.raises(ManyLabelError, match=r"mulsupcon_knn, images: expected classify\.encoder_rate 1"):
        recipe.resolve("images")


def test_an_overlay_changes_one_kind_of_data_and_takes_settings_away(tmp_path):
    file = tmp_path / "mine.toml"
    text = 'like = "mulsupcon"\n[pretrain]\ntemperature = 0.5\n[text]\nwithout = ["classify.stage.ema"]\n'
    file.write_text(text + "[text.pretrain]\ntemperature = 0.7\n")
    recipe = methods.get(str(file)).recipe
    found = {kind: recipe.resolve(kind) for kind in ("vectors", "images", "text")}
    assert {kind: own.pretrain.temperature for kind, own in found.items()} == {
        "vectors": 0.5,
        "images": 0.5,
        "text": 0.7,
    }
    assert found["vectors"].classify.stage.ema is not None
    assert found["text"].classify.stage.ema is None
    assert recipe.own_settings.keys() == {"vectors", "images", "text", "table"}
    file.write_text('like = "mulsupcon"\n[images]\nwithout = ["encoder.widths"]\n')
    with pytest.raises(ManyLabelError, match=r"images\.without: .* got 'encoder\.widths'"):
        methods.get(str(file))


@pytest.mark.parametrize("name", methods.names())
def test_a_recipe_resolves_for_every_kind_that_it_supports(name):
    recipe = methods.get(name).recipe
    for kind in recipe.kinds:
        assert recipe.resolve(kind).name == name
    if name.startswith("text_"):  # they fine-tune an encoder of texts
        assert recipe.kinds == ("text",)
        return
    text, vectors = recipe.resolve("text"), recipe.resolve("vectors")
    if name == "best":  # its learners choose among other values on the TF-IDF rows of texts
        assert text.learners.keys() == vectors.learners.keys()
    elif hasattr(text, "inputs"):
        assert text.model_copy(update={"inputs": vectors.inputs}) == vectors
    else:
        assert text == vectors
    assert "vectors" in recipe.kinds


def test_the_table_of_a_recipe_is_a_recipe(tmp_path):
    from manylabel.study.search.report import toml

    for name in ("best", "mulsupcon_knn", "lamp", "k_neighbours", "paper-reg"):
        file = tmp_path / f"{name}.toml"
        recipe = methods.get(name).recipe
        file.write_text(toml(recipe.table(defaults=False)))
        again = methods.get(str(file)).recipe
        for kind in recipe.kinds:
            expected = recipe.resolve(kind).model_dump(exclude={"expected"})
            assert again.resolve(kind).model_dump(exclude={"expected"}) == expected


def test_a_setting_that_was_switched_off_can_be_given_again():
    recipe = methods.get("mulsupcon_knn", **{"neighbours": None, "neighbours.k": 5}).recipe
    assert recipe.resolve("vectors").neighbours.k == 5


@pytest.mark.parametrize("setting", ["vectors", "family", "members.k", "neighbours.metric"])
def test_what_is_no_setting_is_refused(setting):
    with pytest.raises(ManyLabelError, match=r"a setting such as .*neighbours\.k"):
        methods.get("bce", **{setting: {}})


@pytest.mark.parametrize(
    "name", ["mulsupcon", "mulsupcon_weighted", "all", "any", "base", "proto", "msc", "reg", "wrg"]
)
def test_a_contrastive_recipe_is_named_after_its_loss_and_has_the_settings_of_mulsupcon(name):
    recipe = methods.get(name).recipe
    assert recipe.resolve("vectors").loss == name
    assert name in losses.names()
    ours, theirs = (methods.get(n).recipe.resolve("vectors").model_dump() for n in (name, "mulsupcon"))
    for settings in (ours, theirs):
        for own in ("name", "about", "source", "loss", "expected"):
            del settings[own]
        del settings["pretrain"]["candidates"], settings["pretrain"]["loss"]
    assert ours == theirs


def test_the_plain_classifier_gets_the_budget_and_the_masking_of_the_contrastive_method():
    bce, contrastive = methods.get("bce").recipe, methods.get("mulsupcon").recipe
    for kind in ("vectors", "images"):
        plain, other = bce.resolve(kind), contrastive.resolve(kind)
        assert plain.encoder == other.encoder
        assert plain.classify.views == other.classify.views
        assert plain.classify.stage.select == other.classify.stage.select
        # a pretraining step has a head and a loss over pairs too, for half the cost of a classifier's step
        budget = other.classify.stage.epochs + 1.5 * other.pretrain.stage.epochs
        assert plain.classify.stage.epochs >= budget


def test_a_setting_changes_both_kinds_or_one():
    recipe = methods.get("bce", **{"classify.stage.epochs": 3, "vectors.classify.views.mask": 0.1}).recipe
    assert (
        recipe.resolve("vectors").classify.stage.epochs == recipe.resolve("images").classify.stage.epochs == 3
    )
    assert recipe.resolve("vectors").classify.views.mask == 0.1
    assert recipe.resolve("images").classify.views.mask == 0


def test_a_refusal_names_no_more_settings_than_a_person_reads():
    with pytest.raises(ManyLabelError, match=r", \.\.\., but got 'epochs'") as refused:
        methods.get("best", epochs=2)
    assert refused.value.expected.count(",") <= 30


def test_a_setting_left_at_its_default_can_be_given():
    assert (
        methods.get("bce", **{"classify.stage.patience": 4}).recipe.resolve("vectors").classify.stage.patience
        == 4
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"classify.stage.epoch": 3},
            "method bce: expected a setting such as .*, but got 'classify.stage.epoch'. Did you mean '.*epochs'",
        ),
        ({"pretrain.stage.epochs": 3}, "expected a setting such as"),
        ({"classify": {"epochs": 3}}, "'classify.epochs'. Did you mean 'classify.stage.epochs'"),
        (
            {"classify.stage.epochs": 0},
            "method bce, classify.stage.epochs: expected .*greater than or equal to 1",
        ),
        ({"classify.stage.lr": "fast"}, "classify.stage.lr: expected .*valid number.*, but got 'fast'"),
        ({"classify.stage.optimiser": "lion"}, "'adam', 'adamw' or 'sgd'"),
        ({"encoder.name": "resnet9000"}, "encoder.name"),
    ],
)
def test_what_cannot_be_set_is_refused(settings, message):
    with pytest.raises(ManyLabelError, match=message):
        methods.get("bce", **settings)


@pytest.mark.parametrize("name", ["bce", "mulsupcon"])
def test_a_method_without_settings_of_a_loss_takes_none(name):
    with pytest.raises(
        ManyLabelError, match=r"BCE: expected settings among reduction, group, but got 'gamma'"
    ):
        methods.get(name, **{"classify.loss.gamma": 2.0})


def test_settings_of_a_loss_are_those_that_it_has():
    with pytest.raises(ManyLabelError, match=r"settings among .*gamma_neg.*, but got 'gamma'"):
        methods.get("asl", **{"classify.loss.gamma": 2.0})
    with pytest.raises(ManyLabelError, match="expected 'mean', 'rows' or 'sum', but got 'none'"):
        methods.get("asl", **{"classify.loss.reduction": "none"})


def test_an_unknown_method_lists_the_known_ones():
    with pytest.raises(
        ManyLabelError, match=r"`method`: expected one of all, any, asl, .*mulsupcon, .*, but got 'mulsubcon'"
    ):
        methods.get("mulsubcon")


@pytest.mark.parametrize("name", ["lamp", "mpvae", "rbcc", "cgmvae"])
def test_a_method_for_vectors_has_settings_of_its_own(name):
    recipe = methods.get(name, **{"classify.stage.epochs": 3, "vectors.classify.views.mask": 0.5}).recipe
    assert recipe.resolve("vectors").classify.stage.epochs == 3
    assert recipe.resolve("vectors").classify.views.mask == 0.5
    with pytest.raises(ManyLabelError, match="expected vectors, text or table, but got images"):
        recipe.resolve("images")
    for setting in ("network.depth", "encoder.dropout", "pretrain.queue", "images.classify.stage.epochs"):
        with pytest.raises(
            ManyLabelError, match=f"method {name}: expected a setting such as standardise, network"
        ):
            methods.get(name, **{setting: 3})


def test_a_setting_of_a_network_is_checked():
    assert methods.get("mpvae", **{"network.factors": 5}).recipe.resolve("vectors").network.factors == 5
    with pytest.raises(ManyLabelError, match=r"method lamp, network.graph: expected .*'prior'"):
        methods.get("lamp", **{"network.graph": "posterior"})
    with pytest.raises(ManyLabelError, match=r"method rbcc, errors.hidden: expected .*greater than"):
        methods.get("rbcc", **{"errors.hidden": 0})
