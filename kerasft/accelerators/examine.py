"""A config's programs -> the compiler's figures of each, and the largest batch that fits."""

from __future__ import annotations

from kerasft.accelerators.bounds import Refused, largest
from kerasft.accelerators.chips import Accelerator
from kerasft.accelerators.compiler import compile_program
from kerasft.accelerators.lowering import Programs
from kerasft.accelerators.report import PreflightReport, Shape
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal

ROWS = 8  # a chip's share of the batches that are tried is a multiple of it, as the matrix units like


def examine(
    config: Config,
    programs: Programs,
    accelerator: Accelerator,
    price: float | None,
    find_batch: bool,
    terminal: Terminal,
) -> PreflightReport:
    """Compiles both programs, and others where the largest batch is looked for."""

    def compiled(program: str, share: int, hlo: bytes | Refused) -> Shape:
        terminal.line(f"compiling {program}: {share} examples a chip, length {config.model.max_length}")
        outcome = hlo if isinstance(hlo, Refused) else compile_program(hlo, accelerator.chip)
        return Shape(program, share * accelerator.chips, share, config.model.max_length, outcome)

    def training(batch: int) -> Shape:
        return compiled("training", batch // accelerator.chips, programs.training(batch))

    batch, largest_batch = config.training.batch_size, None
    shape = training(batch)
    evaluation = compiled("evaluation", programs.evaluation_share, programs.evaluation())
    searched = find_batch and shape.too_large
    if searched:
        unit = ROWS * config.training.gradient_accumulation * accelerator.chips
        largest_batch = largest(lambda size: training(size).fits(accelerator), batch, unit)
    return PreflightReport(
        config=config,
        accelerator=accelerator,
        training=shape,
        evaluation=evaluation,
        reduced_bytes=programs.reduced_bytes,
        state_bytes=programs.state_bytes,
        length=programs.length(batch),
        packing=programs.batches(batch).filling,
        price=price,
        largest_batch=largest_batch,
        searched=searched,
    )
