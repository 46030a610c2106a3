"""Methods whose layers stay, in every family: they begin with the base's bits, change it, and leave it again."""

import keras
import numpy as np
import pytest
from support.families import BACKBONES
from support.tiny_bart import make_bart
from support.tiny_t5 import make_t5

from kerasft.config.model import ModelConfig
from kerasft.errors import UserError
from kerasft.peft.registry import METHODS
from kerasft.peft.staying import staying_layers

ALL = {**BACKBONES, "bart": lambda _: make_bart()[0], "t5": lambda _: make_t5()[0]}
SECTIONS = {
    "houlsby": {"method": "adapter", "width": 3, "style": "houlsby"},
    "parallel": {"method": "adapter", "width": 3, "style": "parallel"},
    "prefix": {"method": "prefix", "tokens": 2},
}
# Whose attention is of another form.
NO_PREFIX = ("deberta_v3", "t5")


def outputs(backbone: keras.Model) -> list[np.ndarray]:
    ids = np.random.default_rng(0).integers(3, 20, (2, 6)).astype("int32")
    mask = np.ones_like(ids)
    mask[1, 4:] = 0
    features = {
        name: ids if "token" in name else mask if "mask" in name else np.zeros_like(ids) for name in backbone.input
    }
    return [np.array(each) for each in keras.tree.flatten(backbone(features))]


@pytest.fixture(scope="module", params=ALL)
def family(request) -> tuple[str, keras.Model]:
    return request.param, ALL[request.param](30)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_method_begins_with_the_base_changes_it_and_leaves_it(name, family):
    kind, backbone = family
    before = outputs(backbone)
    config = ModelConfig(preset="x", peft=SECTIONS[name]).peft
    if name == "prefix" and kind in NO_PREFIX:
        with pytest.raises(UserError, match="prefix does not know the attention of a .*; use lora"):
            METHODS[config.method](config, backbone, backbone, 0)
        return
    trained = [(weight, weight.numpy()) for weight in backbone.weights]
    method = METHODS[config.method](config, backbone, backbone, 0)
    if name != "prefix":
        with method.merged():
            for one, two in zip(outputs(backbone), before):
                np.testing.assert_array_equal(one, two)
    for place, variable in enumerate(method.variables.values()):
        variable.assign(variable + 0.3 * keras.random.normal(variable.shape, seed=place))
    with method.merged(), method.installed():
        assert any(np.abs(one - two).max() > 1e-3 for one, two in zip(outputs(backbone), before))
    if method.part:
        method.leave()
    for weight, value in trained:
        weight.assign(value)
    assert staying_layers(backbone) == []
    for one, two in zip(outputs(backbone), before):
        np.testing.assert_array_equal(one, two)
