import json
import multiprocessing
import resource
import shutil
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.config import schema
from kerasft.errors import StorageError, UserError
from kerasft.training.checkpoints.checkpoint import Checkpoints, Progress
from kerasft.training.optimizer import create_optimizer


def make(folder, seed: int, keep: int = 2) -> Checkpoints:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Dropout(0.5)(inputs)))
    checkpoints = Checkpoints(folder, model, create_optimizer(schema.TrainingConfig(), 10, model, {}), keep)
    checkpoints.prepare()
    return checkpoints


def step(checkpoints: Checkpoints) -> None:
    model, optimizer = checkpoints.model, checkpoints.optimizer
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(tf.ones((4, 3)), training=True)))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)


def state(checkpoints: Checkpoints) -> list[np.ndarray]:
    every = [*checkpoints.model.variables, *checkpoints.optimizer.variables]
    return [keras.ops.convert_to_numpy(variable) for variable in every]


def test_a_restored_run_continues_with_the_same_bits_dropout_included(tmp_path):
    first = make(tmp_path, 0)
    step(first)
    first.progress.history.append({"step": 1, "loss": np.float32(0.5)})
    first.progress.best = {"step": 1, "value": 0.25, "state": {"labels": ["é", "中"]}}
    first.save()
    second = make(tmp_path, 1)
    assert second.restore() == [] and second.step == 1
    assert second.progress.history == [{"step": 1, "loss": 0.5}] and second.progress.best == first.progress.best
    for _ in range(3):
        step(first)
        step(second)
    for one, other in zip(state(first), state(second)):
        np.testing.assert_array_equal(one, other)


def test_without_a_checkpoint_a_run_begins(tmp_path):
    checkpoints = make(tmp_path, 0)
    assert checkpoints.restore() == [] and checkpoints.step == 0


def test_only_the_newest_are_kept_and_the_best_beside_them(tmp_path):
    checkpoints = make(tmp_path, 0, keep=2)
    for number in range(4):
        step(checkpoints)
        checkpoints.save()
        if number == 1:
            checkpoints.progress.best = {"step": 2}
            checkpoints.save_best()
            best = [weight.copy() for weight in checkpoints.model.get_weights()]
    assert [entry.step for entry in checkpoints.states.entries()[0]] == [4, 3]
    assert {path.name.split(".")[0] for path in tmp_path.glob("ckpt-*")} == {"ckpt-3", "ckpt-4"}
    checkpoints.restore_best()
    for one, other in zip(checkpoints.model.get_weights(), best):
        np.testing.assert_array_equal(one, other)


def damage(path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("ending", ["data-00000-of-00001", "index", "json"])
@pytest.mark.parametrize(
    "how", [damage, lambda path: path.write_bytes(path.read_bytes()[:-7]), lambda path: path.unlink()]
)
def test_a_damaged_checkpoint_is_passed_over(tmp_path, ending, how):
    checkpoints = make(tmp_path, 0)
    for _ in range(2):
        step(checkpoints)
        checkpoints.save()
    how(tmp_path / f"ckpt-2.{ending}")
    never_finished = not (tmp_path / "ckpt-2.json").exists()
    again = make(tmp_path, 1)
    wrong = again.restore()
    assert again.step == 1
    assert wrong == [] if never_finished else "ckpt-2" in wrong[0]
    step(again)
    again.save()
    assert [entry.step for entry in again.states.entries()[0]] == [2, 1]


def test_nothing_but_damaged_checkpoints_is_an_error_that_says_what_to_do(tmp_path):
    checkpoints = make(tmp_path, 0)
    checkpoints.save()
    damage(tmp_path / "ckpt-1.index")
    with pytest.raises(UserError, match=r"ckpt-1.index is damaged.*--overwrite"):
        make(tmp_path, 0).restore()


def test_best_weights_of_another_step_are_not_taken_for_the_best(tmp_path):
    checkpoints = make(tmp_path, 0)
    checkpoints.save_best()
    checkpoints.progress.best = {"step": 7}
    with pytest.raises(UserError, match="best validation"):
        checkpoints.restore_best()


def test_a_folder_that_is_gone_is_not_made_again(tmp_path):
    checkpoints = make(tmp_path / "run", 0)
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(StorageError, match="is gone"):
        checkpoints.save()
    assert not (tmp_path / "run").exists()


def _save_with_little_room(checkpoints, queue):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # what a full disk does: a write comes to nothing
    try:
        checkpoints.save()
    except StorageError as error:
        queue.put(str(error))


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    checkpoints = make(tmp_path, 0)
    checkpoints.save()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=_save_with_little_room, args=(checkpoints, queue))
    process.start()
    message = queue.get(timeout=60)
    process.join()
    assert "ckpt-2 can't be written" in message and "--resume" in message
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_manifest_names_every_file(tmp_path):
    make(tmp_path, 0).save()
    manifest = json.loads((tmp_path / "ckpt-1.json").read_text())
    assert sorted(manifest["sha256"]) == ["ckpt-1.data-00000-of-00001", "ckpt-1.index"]


def test_a_run_that_goes_on_without_kernels_says_that_bits_differ():
    progress = Progress()
    assert progress.take_forms(("dropout", "kernels")) is None  # a run that begins
    progress.deserialize(progress.serialize().encode())
    assert progress.take_forms(("dropout", "kernels")) is None
    assert "(kernels)" in progress.take_forms(("dropout",))
    assert progress.take_forms(("dropout",)) is None
