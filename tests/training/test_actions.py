import io
import os
import signal

import pytest

from kerasft.errors import Diverged, Interrupted
from kerasft.terminal import Terminal
from kerasft.training.actions import Watch
from kerasft.training.checkpoint import Progress


class Kept:
    """What a Watch needs of Checkpoints."""

    def __init__(self):
        self.progress, self.step, self.saved = Progress(), 0, []

    def save(self):
        self.saved.append(self.step)


@pytest.fixture
def watch(tmp_path):
    def make(steps=10, save_every=None):
        return Watch(Kept(), steps, "accuracy", save_every, tmp_path / "run", Terminal(stream=io.StringIO()))

    return make


def steps(watch, count, loss=1.0):
    for _ in range(count):
        watch.checkpoints.step += 1
        watch.after_steps({"loss": loss, "learning_rate": 0.1})


def test_checkpoints_come_every_so_many_steps_and_after_validation(watch):
    with watch(save_every=3) as seen:
        steps(seen, 7)
        seen.after_evaluation({"accuracy": 0.5})
    assert seen.checkpoints.saved == [3, 6, 7]
    assert seen.progress.history[-1] == {"step": 7, "validation": {"accuracy": 0.5}}


def test_a_curve_has_a_bounded_number_of_points_with_the_mean_loss(watch):
    with watch(steps=1000) as seen:
        for loss in (1.0, 2.0, 3.0, 4.0, 5.0):
            steps(seen, 1, loss)
        steps(seen, 995)
    assert len(seen.progress.history) == 200
    assert seen.progress.history[0] == {"step": 5, "loss": 3.0, "learning_rate": 0.1}


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_without_saving(watch, loss):
    with pytest.raises(Diverged, match="at step 4; lower training.optimizer.learning_rate"), watch() as seen:
        steps(seen, 3)
        steps(seen, 1, loss)
    assert seen.checkpoints.saved == []


def test_ctrl_c_saves_at_the_end_of_the_step_and_the_handler_is_put_back(watch):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match=r"at step 3 of 10; .*run/config.yaml --resume"), watch() as seen:
        steps(seen, 2)
        os.kill(os.getpid(), signal.SIGINT)
        steps(seen, 1)
    assert seen.checkpoints.saved == [3]
    assert signal.getsignal(signal.SIGINT) is before
    assert Interrupted.exit_code == 130


def test_a_second_ctrl_c_does_not_wait(watch):
    with pytest.raises(KeyboardInterrupt), watch() as seen:
        steps(seen, 1)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        steps(seen, 1)
    assert seen.checkpoints.saved == []
