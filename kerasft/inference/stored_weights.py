"""A run that writes by the 4 bits that it is stored in, `--precision int4`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kerasft.errors import UserError
from kerasft.models.presets.narrow_weights import storage_of, stored_bits
from kerasft.runs import Run, Trained
from kerasft.tasks.base import Task

INT4 = "int4"
OPTION = f"--precision {INT4}"
HELP = f"{INT4}: a run that is stored so writes by its 4 bits; fastest for one text at a time"


def stored_run(opened: object, model: object, task: Task) -> Run:
    """The run whose 4 bits are to be read; TensorFlow is not needed to see whether it has some.

    Args:
        opened: what was asked for.
        model: its name; something else stands for a preset.
        task: of it.

    Raises:
        UserError: it has none.
    """
    if not task.writes:
        raise UserError(f"{OPTION}: for tasks that write texts, not for {task.config.task.name}; leave it out")
    if not isinstance(opened, Run) or storage_of(opened.folder / "model") != INT4:
        name = model if isinstance(model, (str, Path)) else "a preset"
        raise UserError(
            f"{OPTION}: {name} is not a run that is stored in {INT4}; make one by kerasft compress RUN "
            f"method=quantize storage={INT4}, or leave it out"
        )
    return opened


def write_by_stored(run: Run, answerer: object, say: Callable[[str], None]) -> None:
    """Gives a model that is not asked yet the bits that its run holds.

    Args:
        run: see `stored_run`.
        answerer: the run, loaded.
        say: told where kernels are compiled.

    Raises:
        UserError: there are no kernels on this machine, or no layer that they know.
    """
    assert isinstance(answerer, Trained)  # what a run is once it is loaded
    from kerasft.kernels.library import Unavailable, load
    from kerasft.models.generation.four_bit_weights import four_bit_weights
    from kerasft.training.layers.precision import on_accelerator

    if on_accelerator():
        raise UserError(f"{OPTION}: its products are for a CPU, and TensorFlow sees another device; leave it out")

    try:
        load(say)
    except Unavailable as reason:
        raise UserError(f"{OPTION}: its products are kernels of kerasft, and {reason}; leave it out") from reason
    generator = answerer.task.generator
    stored = stored_bits(run.folder / "model" / "model.weights.h5")
    generator.stored, others = four_bit_weights(generator.decoder.backbone, stored)
    if not generator.stored:
        raise UserError(f"{OPTION}: no layer of {run.folder} is of a kind that these products know; leave it out")
    if others:
        say(f"{OPTION}: products of {len(others)} layers stay in float32, such as {others[0]}")
