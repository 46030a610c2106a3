"""Batches that threads work on ahead: their order, their errors, and how far ahead."""

import threading

import pytest
import tensorflow as tf

from kerasft.data.prepared.ahead import WAITING, made_ahead


def test_results_come_in_order_whoever_is_ready_first():
    second = threading.Event()

    def double(number):
        if number == 0:
            assert second.wait(30)  # the first is ready last
        second.set()
        return {"twice": tf.constant(2 * number)}, tf.constant([number])

    made = [(result["twice"].item(), rest.tolist()) for result, rest in made_ahead(double, range(9))]
    assert made == [(2 * number, [number]) for number in range(9)]


def test_no_more_is_read_than_waits():
    read = []
    batches = (read.append(number) or number for number in range(100))
    results = made_ahead(tf.constant, batches)
    assert next(results) == 0
    assert len(read) <= WAITING + 1
    results.close()
    assert len(read) <= WAITING + 1


@pytest.mark.parametrize("where", ["batches", "function"])
def test_errors_are_those_of_their_place(where):
    def batches():
        yield 1
        if where == "batches":
            raise KeyError("line 7")
        yield 0

    def function(number):
        if number == 0:
            raise KeyError("line 7")
        return tf.constant(number)

    results = made_ahead(function, batches())
    with pytest.raises(KeyError, match="line 7"):
        list(results)
