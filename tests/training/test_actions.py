import io
import os
import signal

import pytest

from kerasft.config.checkpoint import CheckpointConfig
from kerasft.console.terminal import Terminal
from kerasft.distribution.workers import Workers
from kerasft.errors import HungUp, Interrupted, Terminated
from kerasft.training.actions import Running, Training, saving, with_usual_actions
from kerasft.training.actions.signals import StopEvaluation
from kerasft.training.checkpoints.checkpoint import Progress


class Kept:
    """What actions need of Checkpoints."""

    def __init__(self):
        self.progress, self.step, self.saved, self.workers = Progress(), 0, [], Workers()

    def save(self):
        self.saved.append(self.step)


class Watched(Running):
    """With what is asked of it here."""

    @property
    def checkpoints(self):
        return self.training.checkpoints

    @property
    def progress(self):
        return self.training.checkpoints.progress


@pytest.fixture
def watch(tmp_path):
    def make(steps=10, **saving):
        often, terminal = CheckpointConfig(**saving), Terminal(stream=io.StringIO())
        training = Training(Kept(), steps, "accuracy", often, tmp_path / "run", terminal)
        return Watched(with_usual_actions(), training)

    return make


def steps(watch, count, loss=1.0):
    for _ in range(count):
        watch.checkpoints.step += 1
        watch.after_steps({"loss": loss, "learning_rate": 0.1})


def test_checkpoints_come_every_so_many_steps_and_after_validation(watch):
    with watch(every_steps=3) as seen:
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


def test_steps_that_jump_over_a_multiple_save_all_the_same(watch):
    with watch(every_steps=3) as seen:
        for step in (2, 4, 6, 8, 10):
            seen.checkpoints.step = step
            seen.after_steps({"loss": 1.0, "learning_rate": 0.1})
    assert seen.checkpoints.saved == [4, 6, 10]


def test_no_longer_than_so_many_minutes_without_a_checkpoint(watch, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(saving.time, "monotonic", lambda: now[0])
    with watch(every_minutes=2) as seen:
        for _ in range(8):
            now[0] += 50
            steps(seen, 1)
    assert seen.checkpoints.saved == [3, 6]


def test_losses_since_the_last_point_of_the_curve_are_part_of_the_state(watch):
    with watch(steps=1000) as seen:
        steps(seen, 3, 2.0)
    assert seen.progress.losses == [2.0] * 3 and "losses" in seen.progress.serialize()


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


def test_sigterm_saves_and_says_how_to_go_on_however_often_it_comes(watch):
    with pytest.raises(Terminated, match=r"terminated at step 2 of 10; .*--resume"), watch() as seen:
        steps(seen, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        steps(seen, 1)
    assert seen.checkpoints.saved == [2] and Terminated.exit_code == 143


@pytest.fixture
def hang_up():
    """SIGHUP as a program has it that was not started by nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_closed_terminal_saves_and_says_how_to_go_on(watch, hang_up):
    told = r"its terminal was closed at step 2 of 10; to go on: .*--resume"
    with pytest.raises(HungUp, match=told), watch() as seen:
        steps(seen, 1)
        os.kill(os.getpid(), signal.SIGHUP)
        steps(seen, 1)
    assert seen.checkpoints.saved == [2] and HungUp.exit_code == 129
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_under_nohup_a_closed_terminal_is_nothing(watch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with watch() as seen:
            os.kill(os.getpid(), signal.SIGHUP)
            steps(seen, 2)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert seen.checkpoints.saved == []


def test_a_signal_at_any_worker_stops_all_after_the_same_step(watch, monkeypatch):
    with pytest.raises(Terminated, match="at step 3"), watch() as seen:
        steps(seen, 2)
        monkeypatch.setattr(seen.checkpoints.workers, "all_gather", lambda value: [value, signal.SIGTERM])
        steps(seen, 1)
    assert seen.checkpoints.saved == [3]


def test_a_signal_that_comes_while_workers_agree_is_not_forgotten(watch, monkeypatch):
    def share(value: int) -> list[int]:
        if seen.checkpoints.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return [value]

    with pytest.raises(Terminated, match="at step 2"), watch() as seen:
        monkeypatch.setattr(seen.checkpoints.workers, "all_gather", share)
        steps(seen, 5)


def test_a_signal_does_not_wait_for_the_end_of_a_validation(watch):
    with pytest.raises(StopEvaluation), watch() as seen:
        seen.within_evaluation(1)
        os.kill(os.getpid(), signal.SIGTERM)
        seen.within_evaluation(2)
