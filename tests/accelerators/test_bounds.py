import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasft.accelerators.bounds import Bounds, Length, largest, sent_bytes
from kerasft.accelerators.chips import GIB, parse_accelerator

V5E = parse_accelerator("v5e-8")


def test_memory_counts_what_is_updated_in_place_once(compiled):
    assert compiled.total_bytes == 2 * GIB + 4 + GIB + GIB // 8


def test_a_step_takes_at_least_its_operations_at_peak_or_its_traffic(compiled):
    assert compiled.least_seconds(V5E) == pytest.approx(0.25)
    idle = dataclasses.replace(compiled, flops=0.0)
    assert idle.least_seconds(V5E) == pytest.approx(4 * GIB / 819e9)


def test_an_all_reduce_sends_nothing_from_one_chip_and_nearly_twice_from_many():
    assert sent_bytes(100, 1) == 0
    assert sent_bytes(100, 8) == pytest.approx(175)


def test_a_run_is_its_steps_and_evaluations(compiled):
    evaluation = dataclasses.replace(compiled, flops=197e12 / 100, argument_bytes=8, output_bytes=8)
    bounds = Bounds.of(compiled, evaluation, 4, Length(100, 50, 2, 5), V5E, 2.0)
    assert bounds.step == pytest.approx(0.25)
    assert bounds.epoch == pytest.approx(50 * 0.25 + 5 * 0.01)
    assert bounds.run == pytest.approx(100 * 0.25 + 2 * 5 * 0.01)
    assert bounds.cost == pytest.approx(2.0 * 8 * bounds.run / 3600)


def test_a_large_all_reduce_bounds_the_step(compiled):
    bounds = Bounds.of(compiled, compiled, 10**12, Length(1, 1, 1, 1), V5E, None)
    assert bounds.step == pytest.approx(1.75e12 / 200e9)  # half of 400 GB/s: one direction
    assert bounds.cost is None


@given(limit=st.integers(1, 5000), start=st.integers(1, 5000), unit=st.sampled_from([1, 8, 64]))
def test_about_the_largest_that_fits_is_found(limit, start, unit):
    asked = []
    found = largest(lambda size: asked.append(size) or size <= limit, start, unit)
    if limit < unit:
        assert found is None
    else:
        assert found <= limit < found + unit * max(1, found // unit // 32) + unit
    assert all(size % unit == 0 for size in asked)
    assert len(asked) == len(set(asked)) <= 2 * 13 + 2
