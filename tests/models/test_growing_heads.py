"""A head that grows keeps what it had for each label, by name, and refuses what it can't keep."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.assembly import assemble, save_model
from kerasft.config.schema import Config
from kerasft.errors import UserError
from kerasft.models.growing_heads import grow_head, old_labels_first
from kerasft.models.named_weights import save_variables
from kerasft.tasks.registry import create_task
from kerasft.training.starts import grown_from

TEXT, TAGS = {"text": "text", "label": "label"}, {"tokens": "tokens", "tags": "tags"}
TASKS = {
    "one label": ({"name": "text_classification"}, TEXT),
    "several labels": ({"name": "text_classification", "problem": "multi_label"}, TEXT),
    "tags": ({"name": "token_classification", "stride": 4}, TAGS),
    "tags of a chain": (
        {"name": "token_classification", "stride": 4, "crf": True},
        {"tokens": "tokens", "tags": "tags"},
    ),
    "relations": ({"name": "relation_extraction"}, TEXT),
}
OLD, NEW = ["sport", "money"], ["art", "money", "science", "sport"]
TEXTS = {"text": tf.constant(["<e1>goal</e1> match <e2>team</e2>", "the <e1>bank</e1> of the <e2>team</e2> trade"])}


def task_of(name, preset, labels, **state):
    section, columns = TASKS[name]
    config = {"name": "t", "task": section, "model": {"preset": str(preset), "max_length": 16, "dropout": 0.0}}
    config |= {"data": {"train": "x", "columns": columns}}
    return create_task(Config.model_validate(config), {"labels": labels, "thresholds": [0.5] * len(labels)} | state)


def made(task, start=None):
    return assemble(task.config, task, preset=task.config.model.preset, start=start)


def trained(task, folder):
    """A model whose weights are none of an initialiser, saved."""
    found = made(task)
    for number, variable in enumerate(found.model.trainable_variables):
        variable.assign(variable + 0.3 * keras.random.normal(variable.shape, seed=number))
    folder.mkdir()
    save_model(found, task, folder)
    return found


def logits(assembled):
    features = assembled.preprocessor(TEXTS)
    return assembled.model({name: features[name] for name in assembled.model.input}, training=False).numpy()


def head(assembled, name):
    return next(v for v in assembled.model.weights if v.path == name).numpy()


@pytest.mark.parametrize("name", TASKS)
def test_old_labels_have_the_logits_that_they_had(tiny_preset, tmp_path, name):
    old_task = task_of(name, tiny_preset, OLD)
    old = trained(old_task, tmp_path / "model")
    new_task = task_of(name, tmp_path / "model", NEW)
    keras.utils.set_random_seed(3)
    new = made(new_task, grown_from(tmp_path / "model"))
    keras.utils.set_random_seed(3)
    fresh = made(new_task)
    before, after = old_task.logit_names(OLD), new_task.logit_names(NEW)
    places = [after.index(label) for label in before]
    added = [place for place in range(len(after)) if place not in places]
    np.testing.assert_array_equal(logits(new)[..., places], logits(old))
    np.testing.assert_array_equal(head(new, "classifier/kernel")[:, added], head(fresh, "classifier/kernel")[:, added])
    assert np.abs(head(new, "classifier/kernel")[:, added]).max() > 0
    if name == "tags of a chain":
        transitions = head(new, "chain/transitions")
        np.testing.assert_array_equal(transitions[np.ix_(places, places)], head(old, "chain/transitions"))
        np.testing.assert_array_equal(head(new, "chain/start")[places], head(old, "chain/start"))
        assert not transitions[added].any() and head(old, "chain/transitions").all()


def test_tags_of_a_type_move_together(tiny_preset):
    assert task_of("tags", tiny_preset, OLD).logit_names(["b", "a"]) == ["O", "B-b", "I-b", "B-a", "I-a"]


def test_old_labels_can_keep_their_places():
    assert old_labels_first(["sport", "money"], {"money", "science", "art"}) == ["sport", "money", "art", "science"]


@pytest.fixture(scope="module")
def saved(tiny_preset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("grown") / "model"
    trained(task_of("one label", tiny_preset, OLD), folder)
    return folder


def refused(saved, task, **settings) -> str:
    with pytest.raises(UserError) as error:
        made(task, grown_from(saved, **settings))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_labels_vanish_only_where_that_is_said(tiny_preset, saved):
    task = task_of("one label", saved, ["money", "art"])
    assert "the new head has no sport; keep these labels in task.labels" in refused(saved, task)
    found = made(task, grown_from(saved, dropped=["sport"]))
    with np.load(saved / "head.weights.npz") as file:
        np.testing.assert_array_equal(head(found, "classifier/bias")[0], file["classifier/bias"][1])


def test_what_no_head_can_grow_from_is_refused(tiny_preset, saved, tmp_path):
    grown = task_of("one label", saved, NEW)
    assert "its head is of text_classification" in refused(saved, task_of("tags", tiny_preset, NEW))
    assert "is no model of a run" in refused(tmp_path, grown)
    assert "(8, 2), and (8, 3)" in refused(saved, grown, old_labels=[*OLD, "art"]).replace("16", "8")
    number = task_of("one label", saved, NEW)
    del number.state["labels"]
    number.problem.outputs = lambda: 1
    assert "a text_classification without labels has no head that grows" in refused(saved, number)


def test_heads_of_different_kinds_are_refused_and_nothing_is_assigned(tmp_path):
    def variables(*names):
        return {name: keras.Variable(np.full(2, 5.0, np.float32)) for name in names}

    save_variables(tmp_path / "head.npz", variables("classifier/bias", "chain/start"))
    new = variables("classifier/bias")
    with pytest.raises(UserError, match="the saved head has chain/start, and the new one has not"):
        grow_head(tmp_path / "head.npz", new, ["a", "b"], ["b", "a"])
    new = variables("classifier/bias", "chain/start", "pooler/bias")
    new["pooler/bias"].assign(new["pooler/bias"] + 1)
    with pytest.raises(UserError, match="the new head has pooler/bias, and the saved one has not"):
        grow_head(tmp_path / "head.npz", new, ["a", "b"], ["b", "a"])
    assert new["pooler/bias"].numpy().tolist() == [6, 6]
