"""A small run, and what a compiler would say of it: nothing here needs jax or libtpu."""

import dataclasses

import pytest

from kerasft.accelerators.bounds import Compiled, Length
from kerasft.accelerators.chips import GIB, parse_accelerator
from kerasft.accelerators.report import PreflightReport, Shape
from kerasft.config.schema import Config


@pytest.fixture
def small_config():
    """Returns a function that makes a config; keyword arguments go to its section training."""

    def make(batching="auto", trainable="all", **training) -> Config:
        return Config.model_validate(
            {
                "name": "small",
                "task": {"name": "text_classification"},
                "model": {"preset": "x", "max_length": 16, "trainable": trainable},
                "data": {"train": "x", "columns": {"text": "text", "label": "label"}, "batching": batching},
                "training": {"batch_size": 32, **training},
            }
        )

    return make


@pytest.fixture
def compiled() -> Compiled:
    return Compiled(
        argument_bytes=2 * GIB,
        output_bytes=2 * GIB,
        alias_bytes=2 * GIB - 4,
        temporary_bytes=GIB,
        code_bytes=GIB // 8,
        flops=197e12 / 4,
        seconds=1.0,
    )


@pytest.fixture
def small_report(small_config, compiled):
    """Returns a function that makes a report of 100 steps; keyword arguments replace its parts."""

    def make(**parts) -> PreflightReport:
        evaluation = dataclasses.replace(compiled, flops=197e12 / 100, output_bytes=64, alias_bytes=0)
        report = PreflightReport(
            config=small_config(),
            accelerator=parse_accelerator("v5e-8"),
            training=Shape("training", 32, 4, 16, compiled),
            evaluation=Shape("evaluation", 64, 8, 16, evaluation),
            reduced_bytes=400_000_000,
            state_bytes=2 * GIB,
            length=Length(steps=100, steps_per_epoch=50, evaluations=2, evaluation_steps=5),
        )
        return dataclasses.replace(report, **parts)

    return make
