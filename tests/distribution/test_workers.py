"""What workers agree on; each is a thread here. tests/distributed has the real ones."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kerasft.distribution.workers import Workers, digest_of, report_lost_workers
from kerasft.errors import Diverged, EndedElsewhere, UserError, WorkerLost


class Table:
    """Where threads lay their values down."""

    def __init__(self, count: int):
        self.count, self.barrier, self.values = count, threading.Barrier(count, timeout=20), [0] * count


class Sitting(Workers):
    def __init__(self, table: Table, index: int):
        self.table, self.index, self.count = table, index, table.count

    def all_gather(self, value: int) -> list[int]:
        self.table.values[self.index] = value
        self.table.barrier.wait()
        found = list(self.table.values)
        self.table.barrier.wait()
        return found


def ends(count: int, work: Callable[[Workers], object]) -> list:
    """What `work` gives or raises at each worker."""
    table, found = Table(count), [None] * count

    def sit(index: int) -> None:
        try:
            found[index] = work(Sitting(table, index))
        except (EndedElsewhere, UserError, Diverged) as error:
            found[index] = error

    threads = [threading.Thread(target=sit, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def raising(error: Exception) -> None:
    raise error


def test_alone_a_worker_agrees_with_itself(tmp_path):
    workers = Workers()
    assert workers.chief and workers.all_gather(7) == [7] and workers.run_on_all(lambda: "done") == "done"
    workers.check_same("ab" * 32, "data")
    workers.check_sees(tmp_path / "not there")


def test_the_first_that_is_stopped_says_why_and_all_end():
    def work(workers: Workers) -> None:
        return workers.run_on_all(lambda: raising(UserError(f"{workers.index}")) if workers.index else "fine")

    chief, first, second = ends(3, work)
    assert isinstance(chief, EndedElsewhere) and chief.exit_code == 2
    assert isinstance(first, UserError) and str(first) == "1"
    assert isinstance(second, EndedElsewhere)


def test_only_the_chief_works_and_its_end_is_that_of_all():
    done = []
    assert ends(3, lambda workers: workers.run_on_chief(lambda: done.append(workers.index))) == [None] * 3
    assert done == [0]
    chief, other = ends(2, lambda workers: workers.run_on_chief(lambda: raising(Diverged("nan"))))
    assert isinstance(chief, Diverged) and isinstance(other, EndedElsewhere) and other.exit_code == 3


def test_a_worker_with_other_data_is_named():
    found = ends(3, lambda workers: workers.check_same(digest_of("x" if workers.index == 2 else "y"), "data"))
    assert all("worker 2 has data unlike the chief's" in str(error) for error in found)


def test_a_worker_that_does_not_see_the_folder_is_named(tmp_path):
    def work(workers: Workers) -> None:
        workers.check_sees(tmp_path if workers.index != 1 else tmp_path / "elsewhere")

    assert all("output.dir: worker 1 does not see" in str(error) for error in ends(3, work))
    assert ends(2, lambda workers: workers.check_sees(tmp_path)) == [None, None]
    assert list(tmp_path.iterdir()) == []


def test_a_digest_is_of_texts_and_of_arrays_however_they_lie_in_memory():
    whole = np.arange(12).reshape(3, 4)
    assert digest_of(whole[:, 1]) == digest_of(whole[:, 1].copy()) != digest_of(whole[:, 2])
    assert digest_of(np.broadcast_to(np.int32(1), (5,)), np.empty((3, 0))) == digest_of(np.ones(5, np.int32))


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.UnavailableError(None, None, "recvmsg:Connection reset by peer\nAdditional GRPC error information"),
        tf.errors.InternalError(
            None, None, "Graph execution error:\n\nCollective ops is aborted by: Connection reset by peer\nMore"
        ),
    ],
)
def test_a_loss_is_one_line_with_the_command_that_goes_on(error, monkeypatch):
    monkeypatch.setenv("KERASFT_COMMAND", "python -m kerasft.launch --workers 2")
    with pytest.raises(WorkerLost) as raised, report_lost_workers(Path("runs/x")):
        raise error
    said = str(raised.value)
    assert "(recvmsg:Connection reset by peer)" in said or "(Connection reset by peer)" in said
    assert said.endswith("python -m kerasft.launch --workers 2 runs/x/config.yaml --resume")
    assert raised.value.exit_code == 4


def test_other_errors_of_tensorflow_pass():
    with pytest.raises(tf.errors.InvalidArgumentError), report_lost_workers(Path("x")):
        raise tf.errors.InvalidArgumentError(None, None, "shapes do not match")
