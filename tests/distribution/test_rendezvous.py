"""Workers meet before they train; each is a thread here."""

import threading
import time

from kerasft.distribution import rendezvous as module
from kerasft.distribution.cluster import Cluster
from kerasft.distribution.rendezvous import rendezvous
from kerasft.errors import EndedElsewhere, Stop, UserError, WorkerLost
from kerasft.launch import free_addresses


def meet(count: int, mistakes: dict[int, Stop], absent: tuple[int, ...] = (), seconds: float = 20) -> dict:
    """What each worker ends with; None: it goes on."""
    addresses, ends = free_addresses(count), {}

    def worker(index: int) -> None:
        try:
            with rendezvous(Cluster(addresses, index), seconds):
                time.sleep(0.05 * (count - index))  # the chief is the last to be ready
                if index in mistakes:
                    raise mistakes[index]
            ends[index] = None
        except Stop as error:
            ends[index] = error

    threads = [threading.Thread(target=worker, args=(index,)) for index in range(count) if index not in absent]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def test_all_go_on_together():
    assert meet(3, {}) == {0: None, 1: None, 2: None}


def test_one_process_meets_nobody():
    with rendezvous(None), rendezvous(Cluster(("a:1",), 0)):
        pass


def test_a_mistake_of_the_chief_ends_all_and_is_told_once():
    ends = meet(3, {index: UserError("bad.jsonl:7: no label") for index in range(3)})
    assert str(ends[0]) == "bad.jsonl:7: no label"
    assert all(isinstance(ends[index], EndedElsewhere) and ends[index].exit_code == 2 for index in (1, 2))


def test_a_mistake_that_one_worker_alone_finds_is_told_by_the_chief():
    ends = meet(3, {2: UserError("data.train: x.csv does not exist")})
    assert isinstance(ends[0], UserError) and str(ends[0]) == "worker 2: data.train: x.csv does not exist"
    assert isinstance(ends[1], EndedElsewhere) and isinstance(ends[2], EndedElsewhere)


def test_a_worker_that_does_not_come_is_named():
    ends = meet(3, {}, absent=(2,), seconds=0.5)
    assert isinstance(ends[0], WorkerLost) and "worker 2 (127.0.0.1:" in str(ends[0]) and ends[0].exit_code == 4
    assert isinstance(ends[1], EndedElsewhere) and ends[1].exit_code == 4


def test_a_chief_that_does_not_come_is_named():
    ends = meet(2, {}, absent=(0,), seconds=0.5)
    assert isinstance(ends[1], WorkerLost) and "the chief does not answer at 127.0.0.1:" in str(ends[1])


def test_a_mistake_does_not_wait_long_for_the_others(monkeypatch):
    monkeypatch.setattr(module, "SECONDS_WITH_A_MISTAKE", 0.2)
    begun = time.monotonic()
    ends = meet(3, {1: UserError("bad")}, absent=(2,), seconds=60)
    assert str(ends[0]) == "worker 1: bad" and time.monotonic() - begun < 10
