"""How many parts of a batch a CPU works through side by side; that the result is the same is in test_step.py."""

import os
import subprocess
import sys

import keras
import pytest
import tensorflow as tf

from kerasft.config.schema import Config
from kerasft.distribution.threads import share_threads
from kerasft.errors import UserError
from kerasft.tasks.registry import create_task
from kerasft.training.microbatches import LEAST_WEIGHTS, chosen_microbatches, requested_microbatches

DEVICE = tf.distribute.OneDeviceStrategy("/cpu:0")
PAIRS = ({"name": "text_embedding"}, {"text": "text", "text_pair": "pair"})
PROMPTS = ({"name": "text_generation", "mode": "corpus"}, {"text": "text"})


def config(task=({"name": "text_classification"}, {"text": "text", "label": "label"}), **training) -> Config:
    return Config.model_validate(
        {
            "name": "t",
            "task": task[0],
            "model": {"preset": "x", "max_length": 16},
            "data": {"train": "x", "columns": task[1]},
            "training": training if "tokens_per_batch" in training else {"batch_size": 8, **training},
        }
    )


@pytest.fixture(scope="module")
def large() -> keras.Model:
    return keras.Sequential([keras.Input((LEAST_WEIGHTS // 10,)), keras.layers.Dense(10)])


@pytest.fixture(scope="module")
def small() -> keras.Model:
    return keras.Sequential([keras.Input((10,)), keras.layers.Dense(10)])


def chosen(config, model, strategy=DEVICE) -> int:
    return chosen_microbatches(config, create_task(config), model, strategy)


def test_two_where_they_pay(large, small, mirrored):
    assert chosen(config(), large) == 2
    assert chosen(config(), small) == 1
    assert chosen(config(batch_size=9), large) == 1
    assert chosen(config(batch_size=6, gradient_accumulation=2), large) == 1
    assert chosen(config(), large, mirrored) == 1


def test_none_where_rows_are_compared_with_each_other_or_texts_are_written(large):
    for task in (PAIRS, PROMPTS):
        assert chosen(config(task), large) == 1
        assert requested_microbatches(config(task), create_task(config(task))) == 1


def test_what_the_config_names_is_taken(small):
    assert chosen(config(parallel_microbatches=4), small) == 4
    assert chosen(config(PROMPTS, parallel_microbatches=2), small) == 2


@pytest.mark.parametrize(
    "training, said",
    [
        ({"parallel_microbatches": 3}, "parallel_microbatches: 8 examples do not divide into 3 parts; .*batch_size"),
        ({"parallel_microbatches": 4, "gradient_accumulation": 4}, "2 examples do not divide into 4 parts"),
    ],
)
def test_a_batch_that_does_not_divide(small, training, said):
    with pytest.raises(UserError, match=said):
        chosen(config(**training), small)


def test_batches_of_tokens_have_any_number_of_rows(large):
    ragged = ({"name": "masked_lm", "packing": "none"}, {"text": "text"})
    assert chosen(config(ragged), large) == 2
    assert chosen(config(ragged, tokens_per_batch=64), large) == 1
    with pytest.raises(UserError, match="parallel_microbatches: 2 is for batches of training.batch_size"):
        chosen(config(ragged, tokens_per_batch=64, parallel_microbatches=2), large)


def test_several_replicas_have_parts_of_their_own(small, mirrored):
    with pytest.raises(UserError, match="parallel_microbatches: 2 is for a single CPU"):
        chosen(config(parallel_microbatches=2), small, mirrored)
    assert chosen(config(parallel_microbatches=1), small, mirrored) == 1


def test_threads_are_shared_out_before_tensorflow_starts_and_left_alone_after():
    program = """
import tensorflow as tf
from kerasft.distribution.threads import share_threads
share_threads(2)
tf.constant(1)
share_threads(1000)
print(tf.config.threading.get_intra_op_parallelism_threads(), tf.config.threading.get_inter_op_parallelism_threads())
"""
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    cores = len(os.sched_getaffinity(0))
    assert said.split() == (["0", "0"] if cores == 1 else [str(cores // 2), str(max(2, cores))])


def test_a_process_that_has_used_tensorflow_keeps_its_threads():
    before = tf.config.threading.get_intra_op_parallelism_threads()
    tf.constant(1)
    share_threads(2)
    assert tf.config.threading.get_intra_op_parallelism_threads() == before
