"""Requests are put together while the model is busy, each gets its own answer, and overload is refused at once."""

import asyncio
import threading
import time

import numpy as np
import pytest
from grpc import StatusCode

from kerasft.serving.server.batching import BatchLimits, Queue, Scheduler
from kerasft.serving.status import ServingError, invalid


class Seen:
    def __init__(self):
        self.batches, self.most_queued, self.queued_now = [], 0, 0

    def batch(self, rows, requests, seconds):
        self.batches.append((rows, requests))

    def queued(self, rows):
        self.most_queued = max(self.most_queued, rows)
        self.queued_now = rows


class Model:
    """Doubles numbers, one batch at a time when told to; refuses negative ones."""

    def __init__(self):
        self.go = threading.Event()
        self.go.set()

    def __call__(self, inputs, seconds):
        assert seconds > 0
        assert self.go.wait(60)
        if (inputs["x"] < 0).any():
            raise invalid("negative")
        return {"y": inputs["x"] * 2}


def x(*values):
    return {"x": np.array(values)}


def play(work, limits=None, batched=True):
    """Runs work(queue, model) on a new loop; its result and what was seen."""
    model, seen = Model(), Seen()

    async def run():
        scheduler = Scheduler(limits or BatchLimits(), seen)
        try:
            return await work(Queue(scheduler, model, batched), model)
        finally:
            model.go.set()
            scheduler.close()

    return asyncio.run(run()), seen


def later(seconds=60.0):
    return asyncio.get_running_loop().time() + seconds


async def held(queue, model, *requests):
    """The first request runs alone and is held until the others wait."""
    model.go.clear()
    tasks = [asyncio.create_task(queue.submit(request, later())) for request in requests]
    while len(queue.waiting) < len(requests) - 1:
        await asyncio.sleep(0.001)
    model.go.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_what_waits_is_answered_together_and_in_its_own_shape():
    async def work(queue, model):
        return await held(queue, model, x(1), x(2, 3), x(4), x(5, 6, 7))

    answers, seen = play(work)
    assert [answer["y"].tolist() for answer in answers] == [[2], [4, 6], [8], [10, 12, 14]]
    assert seen.batches == [(1, 1), (6, 3)]
    assert seen.most_queued == 6 and seen.queued_now == 0


def test_a_batch_ends_where_it_is_full_or_shapes_differ():
    async def work(queue, model):
        wide = {"x": np.ones((1, 2))}
        return await held(queue, model, x(1), x(2, 3, 4), x(5, 6), wide, wide, x(7))

    answers, seen = play(work, BatchLimits(rows=4))
    assert answers[3]["y"].shape == (1, 2)
    assert seen.batches == [(1, 1), (3, 1), (2, 1), (2, 2), (1, 1)]


def test_a_signature_that_cannot_be_batched_runs_request_by_request():
    async def work(queue, model):
        return await held(queue, model, *({"x": np.array(number)} for number in (1, 2, 3)))

    answers, seen = play(work, batched=False)
    assert [int(answer["y"]) for answer in answers] == [2, 4, 6]
    assert [requests for _, requests in seen.batches] == [1, 1, 1]


def test_a_request_larger_than_a_batch_runs_alone():
    async def work(queue, model):
        return await held(queue, model, x(1), x(*range(9)), x(2))

    answers, seen = play(work, BatchLimits(rows=4))
    assert answers[1]["y"].tolist() == [2 * number for number in range(9)]
    assert seen.batches == [(1, 1), (9, 1), (1, 1)]


def test_one_bad_request_does_not_fail_those_beside_it():
    async def work(queue, model):
        return await held(queue, model, x(0), x(1), x(-1), x(2))

    answers, _ = play(work)
    assert isinstance(answers[2], ServingError) and answers[2].message == "negative"
    assert [answers[place]["y"].tolist() for place in (0, 1, 3)] == [[0], [2], [4]]


def test_overload_is_refused_at_once_and_recovers():
    async def work(queue, model):
        model.go.clear()
        asked = [asyncio.create_task(queue.submit(x(number), later())) for number in range(20)]
        refused = []
        while len(refused) < 11:  # one runs, eight wait
            await asyncio.sleep(0.001)
            refused = [task for task in asked if task.done()]
        assert not model.go.is_set()
        model.go.set()
        await asyncio.wait(asked)
        assert {task.exception().code for task in refused} == {StatusCode.RESOURCE_EXHAUSTED}
        answered = [task for task in asked if task not in refused]
        return [task.result()["y"].tolist() for task in answered], await queue.submit(x(50), later())

    (answered, after), seen = play(work, BatchLimits(queued_rows=8))
    assert len(answered) == 9 and after["y"].tolist() == [100]
    assert seen.most_queued == 8 and seen.queued_now == 0


def test_the_bytes_that_wait_are_bounded_too():
    async def work(queue, model):
        model.go.clear()
        text = {"x": np.array([b"a" * 600], object)}
        queue.run = lambda inputs, seconds: model.go.wait(60) and {"y": inputs["x"]}
        tasks = [asyncio.create_task(queue.submit(text, later())) for _ in range(4)]
        while not tasks[3].done():
            await asyncio.sleep(0.001)
        model.go.set()
        await asyncio.wait(tasks)
        return [task.exception() is None for task in tasks]

    assert play(work, BatchLimits(queued_bytes=1200))[0] == [True, True, True, False]


def test_a_deadline_that_passes_in_the_queue_is_told_and_the_work_not_done():
    async def work(queue, model):
        model.go.clear()
        first = asyncio.create_task(queue.submit(x(1), later()))
        await asyncio.sleep(0)
        with pytest.raises(ServingError) as late:
            await queue.submit(x(2), later(0.02))
        assert late.value.code is StatusCode.DEADLINE_EXCEEDED
        with pytest.raises(ServingError):
            await queue.submit(x(3), later(-1))
        model.go.set()
        return await first

    _, seen = play(work)
    assert seen.batches == [(1, 1)] and seen.queued_now == 0


def test_a_client_that_goes_away_leaves_no_work_behind():
    async def work(queue, model):
        model.go.clear()
        first, gone = (asyncio.create_task(queue.submit(x(number), later())) for number in (1, 2))
        while not queue.waiting:
            await asyncio.sleep(0.001)
        gone.cancel()
        await asyncio.wait([gone])
        model.go.set()
        return await first

    answer, seen = play(work)
    assert answer["y"].tolist() == [2] and seen.batches == [(1, 1)]


def test_outputs_without_the_batch_are_asked_for_one_by_one():
    async def work(queue, model):
        queue.run = lambda inputs, seconds: model.go.wait(60) and {"y": np.float32(inputs["x"].sum())}
        return await held(queue, model, x(1), x(2, 3), x(4))

    answers, _ = play(work)
    assert [float(answer["y"]) for answer in answers] == [1.0, 5.0, 4.0]


def test_a_failure_that_nobody_foresaw_reaches_all_who_wait():
    async def work(queue, model):
        def run(inputs, seconds):
            model.go.wait(60)
            raise MemoryError

        queue.run = run
        return await held(queue, model, x(1), x(2), x(3))

    answers, seen = play(work)
    assert [type(answer) for answer in answers] == [MemoryError] * 3 and seen.queued_now == 0


def test_what_is_late_or_given_up_is_taken_out_of_its_batch_before_that_runs():
    """A batch may have to be run request by request; by then, some of it nobody waits for."""

    async def work(queue, model):
        ran = []

        def run(inputs, seconds):
            ran.append(inputs["x"].tolist())
            if len(inputs["x"]) > 1:
                time.sleep(0.1)
                raise invalid("not together")
            return {"y": inputs["x"]}

        model.go.clear()
        first = asyncio.create_task(queue.submit(x(0), later()))
        while queue.waiting or not queue._scheduler._busy:
            await asyncio.sleep(0.001)
        queue.run = run
        tasks = [asyncio.create_task(queue.submit(x(number), later(wait))) for number, wait in ((1, 60), (2, 0.05))]
        while len(queue.waiting) < 2:
            await asyncio.sleep(0.001)
        model.go.set()
        await first
        return ran, await asyncio.gather(*tasks, return_exceptions=True)

    (ran, answers), _ = play(work)
    assert ran == [[1, 2], [1]]
    assert answers[0]["y"].tolist() == [1] and answers[1].code is StatusCode.DEADLINE_EXCEEDED


def test_a_run_has_as_long_as_the_most_patient_of_its_requests():
    async def work(queue, model):
        had = []
        queue.run = lambda inputs, seconds: had.append(seconds) or model(inputs, seconds)
        model.go.clear()
        tasks = [asyncio.create_task(queue.submit(x(1), later(wait))) for wait in (60, 20, 40)]
        while len(queue.waiting) < 2:
            await asyncio.sleep(0.001)
        model.go.set()
        await asyncio.gather(*tasks)
        return had

    had, _ = play(work)
    assert had == [pytest.approx(60, abs=15), pytest.approx(40, abs=15)]
