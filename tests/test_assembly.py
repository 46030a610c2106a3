"""A model is saved and loaded by its parts: nothing that was put into it is lost, and what would be is refused."""

import contextlib
import json
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.assembly import HEAD, Assembled, assemble, load_model, save_model, with_part
from kerasft.config.schema import Config
from kerasft.errors import UserError
from kerasft.models.blocks import transformer_blocks
from kerasft.models.parts import PARTS, Part, register_part
from kerasft.tasks.registry import create_task

TEXTS = {"text": tf.constant(["goal match", "the bank of the team", ""])}
SLOT = "_feedforward_intermediate_dense"


@pytest.fixture
def task(tiny_preset):
    config = {
        "name": "t",
        "task": {"name": "text_classification"},
        "model": {"preset": str(tiny_preset), "max_length": 16},
        "data": {"train": "x", "columns": {"text": "text", "label": "label"}},
    }
    return create_task(Config.model_validate(config), {"labels": ["a", "b"]})


def made(task, start=None, preset=None, **model) -> Assembled:
    """A model whose biases are no zeros."""
    config = task.config.model_copy(update={"model": task.config.model.model_copy(update=model)})
    found = assemble(config, task, preset=preset or task.config.model.preset, start=start)
    if preset is None:
        for variable in found.model.trainable_variables:
            variable.assign(variable + 0.3 * keras.random.normal(variable.shape, seed=1))
    return found


def logits(assembled: Assembled) -> np.ndarray:
    return assembled.model(assembled.preprocessor(TEXTS), training=False).numpy()


def adapted(assembled: Assembled) -> Assembled:
    assembled.backbone.enable_lora(4)
    return assembled


def put(layer: keras.layers.Layer, part: keras.layers.Layer) -> None:
    layer._tracker.unlock()
    setattr(layer, SLOT, part)
    layer._tracker.lock()


class Bottleneck(keras.layers.Layer):
    """A layer and a small one beside it, whose result is added."""

    def __init__(self, inner: keras.layers.Layer, width: int):
        super().__init__(name="bottleneck")
        self.inner, self.down = inner, keras.layers.Dense(width, name="down")
        self.up = keras.layers.Dense(inner.units, name="up")
        self.down.build((None, inner.kernel.shape[0]))
        self.up.build((None, width))
        self.built = True

    def call(self, inputs):
        return self.inner(inputs) + self.up(self.down(inputs))


class Bottlenecks(Part):
    name = "bottlenecks"

    def __init__(self, backbone: keras.Model, width: int):
        self.width, self.blocks = width, transformer_blocks(backbone)
        self.wrappers = [Bottleneck(getattr(block, SLOT), width) for block in self.blocks]
        self._put(self.wrappers)

    def _put(self, layers) -> None:
        for block, layer in zip(self.blocks, layers):
            put(block, layer)

    @property
    def settings(self):
        return {"width": self.width}

    @property
    def layers(self):
        return self.wrappers

    @property
    def variables(self):
        own = [(i, part) for i, wrapper in enumerate(self.wrappers) for part in (wrapper.down, wrapper.up)]
        return {f"{i}/{part.name}/{weight.name}": weight for i, part in own for weight in part.weights}

    @contextlib.contextmanager
    def taken_out(self):
        self._put([wrapper.inner for wrapper in self.wrappers])
        yield
        self._put(self.wrappers)

    @classmethod
    def put_in(cls, backbone, settings):
        return cls(backbone, settings["width"])


@pytest.fixture
def bottlenecks():
    yield register_part(Bottlenecks)
    del PARTS[Bottlenecks.name]


def test_lora_comes_back_with_the_backbones_own_weights(task, tmp_path):
    trained = made(task, adapted)
    assert len(trained.model.trainable_variables) == 2 * 3 + 2  # A, B and bias of query and value; the head
    save_model(trained, task, tmp_path)
    loaded = load_model(tmp_path, task)
    np.testing.assert_allclose(logits(loaded), logits(trained), atol=1e-5)
    plain = made(task)
    assert np.abs(logits(loaded) - logits(plain)).max() > 1e-2  # the adapters do something
    assert len(loaded.backbone.trainable_variables) == len(plain.backbone.trainable_variables)


def test_a_layer_that_no_part_saves_is_refused_by_name_before_training(task):
    def wrapped(assembled):
        (block,) = transformer_blocks(assembled.backbone)
        put(block, Bottleneck(getattr(block, SLOT), 2))
        return assembled

    with pytest.raises(UserError, match="bottleneck: this Bottleneck was put into the model and could not be saved"):
        made(task, wrapped)

    def grown(assembled):
        head = assembled.model.get_layer("classifier")
        head.enable_lora(2)
        return assembled

    with pytest.raises(UserError, match="classifier/lora_kernel_a: this variable .* could not be saved"):
        made(task, grown)

    def halved(assembled):
        assembled.model.get_layer("classifier").quantize("int8")
        return assembled

    with pytest.raises(UserError, match="classifier: is quantized"):
        made(task, halved)


def test_a_part_is_saved_and_loaded_under_its_name(task, tmp_path, bottlenecks):
    trained = made(task, lambda assembled: with_part(assembled, bottlenecks(assembled.backbone, 2)))
    before = logits(trained)
    save_model(trained, task, tmp_path)
    np.testing.assert_array_equal(logits(trained), before)  # its layers are in their places again
    loaded = load_model(tmp_path, task)
    np.testing.assert_allclose(logits(loaded), before, atol=1e-6)
    with np.load(tmp_path / "bottlenecks.weights.npz") as file:
        assert sorted(file.files) == ["0/down/bias", "0/down/kernel", "0/up/bias", "0/up/kernel"]
    again = made(task, preset=str(tmp_path))  # a run that starts from this one has them, too
    assert [part.name for part in again.parts] == ["bottlenecks"]
    features = trained.preprocessor(TEXTS)
    for one, other in zip(*(keras.tree.flatten(each.backbone(features)) for each in (again, trained))):
        np.testing.assert_allclose(one, other, atol=1e-6)
    del PARTS["bottlenecks"]
    with pytest.raises(UserError, match="no part 'bottlenecks' here; import what registers it"):
        load_model(tmp_path, task)
    PARTS["bottlenecks"] = bottlenecks


def test_heads_of_before_variables_had_names_still_load(task, tmp_path):
    trained = made(task)
    save_model(trained, task, tmp_path)
    with np.load(tmp_path / HEAD) as file:
        saved = {name: file[name] for name in file.files}
    assert list(saved) == ["classifier/kernel", "classifier/bias"]
    np.savez(tmp_path / HEAD, **{f"v{i}": value for i, value in enumerate(saved.values())})
    np.testing.assert_array_equal(logits(load_model(tmp_path, task)), logits(trained))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda saved: {"classifier/kernel": saved["classifier/kernel"]}, "classifier/bias is missing"),
        (lambda saved: {"v0": saved["classifier/kernel"]}, "classifier/bias is missing"),
        (lambda saved: saved | {"other": np.zeros(2)}, "the model has no other"),
        (lambda saved: dict(zip(("v0", "v1", "v2"), [*saved.values(), np.zeros(2)])), "the model has no v2"),
        (lambda saved: saved | {"classifier/bias": np.zeros(3)}, r"classifier/bias has the shape \(3,\), .*\(2,\)"),
    ],
)
def test_a_head_of_another_form_is_an_error(task, tmp_path, change, expected):
    save_model(made(task), task, tmp_path)
    with np.load(tmp_path / HEAD) as file:
        changed = change({name: file[name] for name in file.files})
    np.savez(tmp_path / HEAD, **changed)
    with pytest.raises(UserError, match=f"{HEAD}: {expected}"):
        load_model(tmp_path, task)


def test_a_preset_that_was_saved_frozen_is_trained(task, tmp_path):
    plain = made(task)
    save_model(plain, task, tmp_path)
    path = tmp_path / "config.json"
    saved = json.loads(path.read_text())
    saved["config"]["trainable"] = False
    path.write_text(json.dumps(saved))
    count = len(plain.model.trainable_variables)
    assert len(made(task, preset=str(tmp_path)).model.trainable_variables) == count
    assert len(made(task, preset=str(tmp_path), trainable="head").model.trainable_variables) == 2


def test_what_was_put_in_after_the_start_is_refused_where_it_is_saved(task, tmp_path):
    trained = made(task)
    (block,) = transformer_blocks(trained.backbone)
    put(block, Bottleneck(getattr(block, SLOT), 2))
    with pytest.raises(UserError, match="could not be saved"):
        save_model(trained, task, tmp_path)
    assert list(tmp_path.iterdir()) == []
    save_model(replace(made(task), savable=None), task, tmp_path)
