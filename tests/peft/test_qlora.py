"""QLoRA: packed kernels in every family, Keras' variable that they hide behind, and what is refused."""

import itertools
import json
import signal
from pathlib import Path

import keras
import numpy as np
import pytest
from support.families import BACKBONES
from support.peft_run import peft_config
from support.projects import train_in
from support.small_presets import small_presets  # noqa: F401
from support.tiny_bart import make_bart

from kerasft import train
from kerasft.config.model import ModelConfig
from kerasft.errors import UserError
from kerasft.models.presets.presets import load_backbone
from kerasft.peft.adapter_files import write_adapter
from kerasft.peft.packed_kernels import PackedKernel, pack, product, unpack
from kerasft.peft.packed_matrices import Int8, Nf4
from kerasft.peft.qlora import Qlora
from kerasft.peft.registry import put_method
from kerasft.peft.targets import linear_layers
from kerasft.serving.adapters.serving_model import find_sources
from kerasft.training.selection import Selection
from kerasft.training.trainer import Trainer

FAMILIES = {"llama3": BACKBONES["llama3"], "deberta_v3": BACKBONES["deberta_v3"], "bart": lambda _: make_bart()[0]}


def section(**keys):
    return ModelConfig(preset="x", peft={"method": "qlora", "rank": 2, **keys}).peft


def outputs(backbone: keras.Model) -> np.ndarray:
    ids = np.random.default_rng(0).integers(3, 20, (2, 6)).astype("int32")
    features = {name: ids if "token" in name else np.ones_like(ids) for name in backbone.input}
    features |= {name: 0 * ids for name in features if "segment" in name}
    found = backbone(features)
    found = found.get("decoder_sequence_output", found.get("sequence_output")) if isinstance(found, dict) else found
    return np.array(found)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_packed_backbone_is_the_unpacked_one_of_the_same_numbers(family):
    backbone = FAMILIES[family](30)
    for place, weight in enumerate(backbone.weights):
        weight.assign(weight + 0.2 * keras.random.normal(weight.shape, seed=place))
    whole = {target.path: target.matrix() for target in linear_layers(backbone)}
    kinds = {id(weight): type(weight) for weight in backbone.weights}
    method = Qlora(section(targets="query_value"), backbone, backbone, 0)
    packed = {target.path: target.matrix() for target in method.packed}
    assert len(packed) > len(method.adapters) and method.figures["packed_bytes"] < method.figures["float32_bytes"]
    for path, values in packed.items():
        np.testing.assert_allclose(values.T, Nf4(whole[path].T.copy()).unpacked().numpy())
    for pair in method.adapters:
        for variable in pair.variables.values():
            variable.assign(variable + 0.3 * keras.random.normal(variable.shape, seed=1))
    before = outputs(backbone)
    with method.installed():
        found = outputs(backbone)
    assert np.abs(found - before).max() > 1e-3
    for context in (method.merged, method.validated):
        with context():
            np.testing.assert_allclose(outputs(backbone), found, atol=1e-5)
    np.testing.assert_array_equal(outputs(backbone), before)
    method.merge()
    assert {id(weight): type(weight) for weight in backbone.weights} == kinds
    np.testing.assert_allclose(outputs(backbone), found, atol=1e-5)


def test_a_packed_variable_reads_as_its_numbers_and_takes_no_others():
    """Keras' private names: where they move, memory is not freed, or a reader sees something else."""
    variable = keras.Variable(np.random.default_rng(0).normal(size=(64, 2, 8)).astype("float32"), name="kernel")
    packed = Nf4(variable.numpy().reshape(64, 16).T.copy())
    pack(variable, packed)
    assert type(variable) is PackedKernel and variable._value is packed.codes and variable.shape == (64, 2, 8)
    expected = packed.unpacked().numpy().T.reshape(64, 2, 8)
    for read in (variable.numpy, lambda: np.array(variable), lambda: keras.ops.convert_to_numpy(variable)):
        np.testing.assert_array_equal(read(), expected)
    variable.assign(expected)
    with pytest.raises(ValueError, match="is packed and never changes"):
        variable.assign(expected + 1)
    unpack(variable, expected)
    variable.assign(expected + 1)
    np.testing.assert_array_equal(variable.numpy(), expected + 1)


@pytest.mark.parametrize("kind", [Nf4, Int8])
def test_a_product_and_its_gradient_are_those_of_the_numbers(kind):
    import tensorflow as tf

    packed = kind(np.random.default_rng(0).normal(size=(6, 10)).astype("float32"))
    x = tf.constant(np.random.default_rng(1).normal(size=(3, 10)).astype("float32"))

    @tf.function
    def both():
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            mine, plain = product(x, packed), x @ tf.transpose(packed.unpacked())
            losses = tf.reduce_sum(mine**2), tf.reduce_sum(plain**2)
        return mine, plain, tape.gradient(losses[0], x), tape.gradient(losses[1], x)

    mine, plain, dmine, dplain = both()
    np.testing.assert_allclose(mine, plain, atol=1e-5)
    np.testing.assert_allclose(dmine, dplain, atol=1e-5)


def test_an_adapter_of_another_base_is_refused(tmp_path, tiny_bert):
    backbone = tiny_bert()
    method = Qlora(section(), backbone, backbone, 0)
    facts = {"base": {"preset": "x", "sha256": "1", "packing": "nf4"}, "peft": {}}
    write_adapter(tmp_path, method.peft_config(), method.tensors(), facts)
    for peft in ({"method": "lora"}, {"method": "qlora", "quantization": "int8"}):
        config, base = peft_config({"rank": 2, "start": str(tmp_path), **peft}), tiny_bert()
        with pytest.raises(UserError, match="was trained beside nf4 weights, and model.peft has (whole|int8) ones"):
            put_method(config, base, base)
    config, base = peft_config({"method": "qlora", "rank": 2, "start": str(tmp_path)}), tiny_bert()
    put_method(config, base, base, {"base": "1"})


@pytest.fixture(scope="module")
def project(small_presets, tmp_path_factory) -> Path:  # noqa: F811
    """A decoder that learns sentences by QLoRA, and its run `whole`."""
    folder = tmp_path_factory.mktemp("qlora")
    lines = [" ".join(np.random.default_rng(i).permutation(["the quick", "dog", "and a", "fox"])) for i in range(40)]
    (folder / "train.txt").write_text("\n".join(lines))
    config = {
        "name": "whole",
        "task": {"name": "text_generation", "samples": 2, "decoding": {"max_new_tokens": 3}},
        "model": {"preset": str(small_presets / "decoder"), "max_length": 16},
        "data": {"train": "train.txt", "validation": 0.2, "columns": {"text": "text"}},
        "training": {"steps": 4, "evaluate_every": 2, "batch_size": 4, "steps_per_loop": 1},
        "export": {"enabled": False},
    }
    config["model"]["peft"] = {"method": "qlora", "rank": 2, "dropout": 0.1}
    config["training"]["optimizer"] = {"learning_rate": 0.03}
    (folder / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
    validated, take = [], Selection.take

    def noted(selection, metrics, *others):
        validated.append(metrics["log_loss"])
        return take(selection, metrics, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Selection, "take", noted)
        train_in(folder)
    (folder / "validated.json").write_text(json.dumps(validated))
    return folder


def metrics(name: str) -> dict:
    return json.loads(Path("runs", name, "metrics.json").read_text())


def test_a_decoder_is_validated_as_it_is_saved_whole_and_in_float32(project, small_presets, monkeypatch):  # noqa: F811
    monkeypatch.chdir(project)
    found, validated = metrics("whole"), json.loads(Path("validated.json").read_text())
    assert found["validation"]["log_loss"] == pytest.approx(min(validated), abs=1e-5) and len(validated) == 2
    assert found["model"]["peft"]["quantization"] == "nf4" and found["model"]["peft"]["packed_bytes"] > 0
    base, merged = (load_backbone(str(preset)) for preset in (small_presets / "decoder", "runs/whole/model"))
    for before, after in zip(linear_layers(base), linear_layers(merged)):
        assert type(after.layer.kernel) is keras.Variable
        packed = Nf4(before.matrix().T.copy()).unpacked().numpy().T
        assert np.linalg.matrix_rank(after.matrix() - packed, tol=1e-5) <= 2


@pytest.mark.long
def test_it_goes_on_to_the_same_bits(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    loop, calls = Trainer.train, itertools.count()

    def interrupted(trainer, steps):
        if next(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return loop(trainer, steps)

    monkeypatch.setattr(Trainer, "train", interrupted)
    assert train.main(["config.yaml", "name=broken"]) == 130
    assert train.main(["config.yaml", "name=broken", "--resume"]) == 0, capsys.readouterr().err
    assert metrics("whole")["training"]["sha256"] == metrics("broken")["training"]["sha256"]


def test_packed_bases_are_not_shared_by_an_export(project, monkeypatch):
    monkeypatch.chdir(project)
    with pytest.raises(UserError, match="export.adapters.one: runs/whole was trained beside weights in nf4"):
        find_sources({"one": "run:runs/whole"})
