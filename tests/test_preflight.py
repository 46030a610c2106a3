"""`kerasft preflight` from a config to an exit code; a stand-in answers for the TPU's compiler."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml

from kerasft import preflight
from kerasft.accelerators import examine, lowering
from kerasft.accelerators.bounds import Compiled, Length, Refused
from kerasft.accelerators.chips import GIB
from kerasft.accelerators.lowering import Programs
from kerasft.config.load import load_config
from kerasft.data.batching.epochs import Epochs
from kerasft.data.splits import load_splits
from kerasft.tasks.registry import create_task
from kerasft.training.batches import Batches


@pytest.fixture
def config(tmp_path, tiny_preset):
    """A config on 60 rows of text, and its file."""
    rows = [{"text": "goal match team" if i % 2 else "bank stock", "label": f"l{i % 2}"} for i in range(60)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "config.yaml"
    config = {
        "name": "tiny",
        "task": {"name": "text_classification"},
        "model": {"preset": str(tiny_preset), "max_length": 16},
        "data": {
            "train": str(tmp_path / "rows.jsonl"),
            "validation": 0.2,
            "columns": {"text": "text", "label": "label"},
        },
        "training": {"batch_size": 16, "epochs": 2},
    }
    path.write_text(yaml.safe_dump(config))
    return path


class Sizes(Programs):
    """Programs of 48 rows to train and 12 to validate on, without a model."""

    reduced_bytes, state_bytes = 4, 2 * GIB

    def __init__(self, config, task, tables, preset, chips):
        self.config, self.chips, self.rows, self.validation = config, chips, len(tables["train"]), tables["validation"]

    def training(self, batch_size):
        return str(batch_size // self.chips).encode()

    def batches(self, batch_size):
        return Batches(Epochs(np.ones(48), batch_size, "pad", 0), self.length(batch_size).steps)

    def evaluation(self):
        return str(self.evaluation_share).encode()


@pytest.fixture
def chip(monkeypatch):
    """A stand-in for the compiler: an example takes 1 GiB, beside 2 GiB. Lists the shares it was asked for."""
    asked = []

    def compile_program(hlo: bytes, chip):
        asked.append(share := int(hlo))
        if 2 + share > 16:
            return Refused("Ran out of memory on HBM", memory=True)
        return Compiled(2 * GIB, 2 * GIB, 2 * GIB, share * GIB, 0, 1e12 * share, 0.0)

    monkeypatch.setattr(examine, "compile_program", compile_program)
    monkeypatch.setattr(preflight, "check_installed", lambda: None)
    monkeypatch.setattr(lowering, "Programs", Sizes)
    return asked


def programs(path, *overrides) -> Programs:
    config = load_config(path, overrides)
    task = create_task(config)
    return Programs(config, task, load_splits(config, task), config.model.preset, chips=8)


def test_what_fits_ends_with_0(config, chip, capsys):
    assert preflight.main([str(config), "--accelerator", "v5e-8", "--price", "1.2"]) == 0
    shown = capsys.readouterr().out
    assert chip == [2, 8]
    assert shown.startswith("tiny fits on v5e-8: 8 chips, source https://cloud.google.com/tpu/docs/v5e\n")
    assert "25.0%" in shown and "cost: at least" in shown


def test_what_does_not_fit_ends_with_1_and_says_what_to_change(config, chip, capsys):
    arguments = [str(config), "--accelerator", "v5e-8", "training.batch_size=160"]
    assert preflight.main(arguments) == 1
    shown = capsys.readouterr().out
    assert "tiny does not fit on v5e-8" in shown
    assert "training does not fit: Ran out of memory on HBM" in shown
    assert "change training.batch_size: less than 160" in shown
    assert "change training.rematerialize: true" in shown


def test_the_largest_batch_is_found(config, chip, capsys):
    assert preflight.main([str(config), "--accelerator", "v5e-1", "--find-batch", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["fits"], found["largest_batch"]) == (False, 8)
    assert found["length"] == {"steps": 6, "steps_per_epoch": 3, "evaluations": 2, "evaluation_steps": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--accelerator", "v9-8"], "no chip v9 is known here"),
        (["--accelerator", "v5e-8", "training.batch_size=12"], "12 does not divide over 8 replicas; use 8 or 16"),
        (["--accelerator", "v5e-8", "--price", "-1"], "--price: -1.0 is not a price"),
        (["--accelerator", "v5e-8", "data.batching=bucket"], "data.batching: bucket makes batches of many lengths"),
        (["--accelerator", "v5e-8", "model.preset=nowhere"], "model.preset: nowhere is not a folder"),
    ],
)
def test_a_mistake_ends_with_2(config, chip, capsys, arguments, message):
    assert preflight.main([str(config), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_compiler_has_to_be_installed(config, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert preflight.main([str(config), "--accelerator", "v5e-8"]) == 2
    assert "[preflight]" in capsys.readouterr().err


def test_state_is_all_variables_and_slots_and_weights_are_not_read(config, monkeypatch):
    monkeypatch.setattr(keras.Model, "load_weights", lambda *_, **__: pytest.fail("weights were read"))
    made = programs(config)
    weights = sum(np.asarray(v).nbytes for v in made.model.weights)
    everything = sum(np.asarray(v).nbytes for v in (*made.model.variables, *made.optimizer.variables))
    assert made.reduced_bytes == weights + 4  # everything is trained
    assert made.state_bytes == everything
    assert 3 * weights <= everything <= 3 * weights + 256  # with Adam's two moments, seeds and counters
    assert b"classifier" in made.training(16)  # operations bear the names of their layers
    assert isinstance(made.evaluation(), bytes)
    assert made.length(16) == Length(steps=6, steps_per_epoch=3, evaluations=2, evaluation_steps=1)


def test_texts_share_rows_where_that_pays(config):
    made = programs(config, "training.gradient_accumulation=2")
    # Three texts of 4 or 5 tokens, of 16 at most, and one that fills up: what one of eight chips works on at once.
    found = made.batches(64).filling
    assert (found.texts, found.rows, found.length) == (4, 1, 16)
    assert found.padding < 0.3 < 0.7 < found.padding_alone
    assert isinstance(made.training(64), bytes)
    assert programs(config, "data.batching=pad").batches(64).filling is None


def test_frozen_layers_have_no_gradients_and_no_slots(config):
    made = programs(config, "model.trainable=head")
    assert made.reduced_bytes < made.state_bytes / 10


def test_an_operation_that_xla_does_not_know_names_its_layer():
    class Odd(keras.layers.Layer):
        def call(self, vector):
            return tf.cast(tf.strings.length(tf.strings.as_string(vector)), vector.dtype)

    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2)(Odd(name="odd")(inputs)), name="classifier")
    refused = lowering.lowered(model, tf.zeros((2, 4)))
    assert isinstance(refused, Refused) and not refused.memory
    assert refused.layer.endswith(("/odd", "/odd_1"))  # TensorFlow counts names that it has seen
    assert "AsString" in refused.reason
