"""What preflight found, for people and for machines."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from kerasft.accelerators.bounds import Bounds, Compiled, Length, Refused, sent_bytes
from kerasft.accelerators.chips import GIB, Accelerator
from kerasft.config.schema import Config

if TYPE_CHECKING:
    import rich.table

    from kerasft.data.batching.pack_plan import Filling


@dataclass(frozen=True)
class Shape:
    """One program with one shape, and what became of it.

    Attributes:
        program: training or evaluation.
        batch: examples over all chips.
        share: examples of one chip.
        length: tokens of an example.
        outcome: of the compiler.
    """

    program: str
    batch: int
    share: int
    length: int
    outcome: Compiled | Refused

    def fits(self, accelerator: Accelerator) -> bool:
        """Whether it compiles and one chip's memory holds it."""
        return isinstance(self.outcome, Compiled) and self.outcome.total_bytes <= accelerator.chip.hbm_bytes

    @property
    def too_large(self) -> bool:
        """Whether memory is what it lacks, where it does not fit."""
        return isinstance(self.outcome, Compiled) or self.outcome.memory


@dataclass(frozen=True)
class PreflightReport:
    """Everything that preflight says of a config on an accelerator.

    Attributes:
        config: that the figures are of.
        accelerator: what it would run on.
        training: the step of training.
        evaluation: the step of evaluation.
        reduced_bytes: gradients that are summed over chips each step.
        state_bytes: all variables.
        length: how many steps of training and of evaluation the run has.
        packing: of the texts of a training batch; None: each has a row of its own.
        price: of a chip for an hour; None: not asked.
        largest_batch: about the largest that fits, see `bounds.largest`; None: none does, or not asked.
        searched: whether that was asked.
    """

    config: Config
    accelerator: Accelerator
    training: Shape
    evaluation: Shape
    reduced_bytes: int
    state_bytes: int
    length: Length
    packing: Filling | None = None
    price: float | None = None
    largest_batch: int | None = None
    searched: bool = False

    @property
    def shapes(self) -> tuple[Shape, Shape]:
        return self.training, self.evaluation

    @property
    def fits(self) -> bool:
        return all(shape.fits(self.accelerator) for shape in self.shapes)

    def bounds(self) -> Bounds | None:
        """None where a program does not compile."""
        train, evaluation = self.training.outcome, self.evaluation.outcome
        if not isinstance(train, Compiled) or not isinstance(evaluation, Compiled):
            return None
        return Bounds.of(train, evaluation, self.reduced_bytes, self.length, self.accelerator, self.price)

    def as_json(self) -> dict[str, Any]:
        """The same for machines; bytes are of one chip, seconds are lower bounds."""
        accelerator, bounds = self.accelerator, self.bounds()
        return {
            "fits": self.fits,
            "accelerator": {"name": accelerator.name, "chips": accelerator.chips, "chip": asdict(accelerator.chip)},
            "shapes": [_shape_json(shape, accelerator) for shape in self.shapes],
            "state_bytes": self.state_bytes,
            "all_reduce": {
                "bytes": self.reduced_bytes,
                "sent_bytes_per_chip": sent_bytes(self.reduced_bytes, accelerator.chips),
            },
            "length": asdict(self.length),
            "packing": self.packing and asdict(self.packing),
            "lower_bound_seconds": None if bounds is None else {k: v for k, v in asdict(bounds).items() if k != "cost"},
            "lower_bound_cost": None if bounds is None else bounds.cost,
            "largest_batch": self.largest_batch,
            "advice": self.advice(),
        }

    def table(self) -> rich.table.Table:
        """A row for each shape."""
        from rich.table import Table

        names = ("arguments", "temporaries", "code", "total", "of HBM", "FLOPs a chip")
        table = Table("program", "examples a chip", "length", "fits", *names, show_edge=False, header_style="bold")
        for column in table.columns[1:]:
            column.justify = "right"
        for shape in self.shapes:
            outcome, fits = shape.outcome, "yes" if shape.fits(self.accelerator) else "no"
            cells = [shape.program, str(shape.share), str(shape.length), fits]
            if isinstance(outcome, Compiled):
                sizes = (outcome.argument_bytes, outcome.temporary_bytes, outcome.code_bytes, outcome.total_bytes)
                share = outcome.total_bytes / self.accelerator.chip.hbm_bytes
                cells += [*map(gib, sizes), f"{share:.1%}", f"{outcome.flops:.3g}"]
            table.add_row(*cells)
        return table

    def lines(self) -> list[str]:
        """What stands below the table."""
        chips, price, bounds = self.accelerator.chips, self.price, self.bounds()
        lines = []
        for shape in self.shapes:
            if isinstance(shape.outcome, Refused):
                where = f" (layer {shape.outcome.layer})" if shape.outcome.layer else ""
                fault = "fit" if shape.outcome.memory else "compile"
                lines.append(f"{shape.program} does not {fault}{where}: {shape.outcome.reason}")
        if self.packing:
            lines.append(str(self.packing))
        lines.append(
            f"all-reduce: {gib(self.reduced_bytes)} of gradients a step; "
            f"each of {chips} chips sends {gib(sent_bytes(self.reduced_bytes, chips))}"
        )
        if bounds is not None:
            lines += [
                f"lower bounds, from published peaks; real times are longer: step {duration(bounds.step)}, "
                f"epoch {duration(bounds.epoch)} ({self.length.steps_per_epoch:,} steps and an evaluation), "
                f"run {duration(bounds.run)} ({self.length.steps:,} steps, {self.length.evaluations} evaluations)",
                f"hours: at least {bounds.run / 3600:.3g}, {chips * bounds.run / 3600:.3g} chip-hours"
                + ("" if bounds.cost is None else f"; cost: at least {bounds.cost:.3g} at {price:g} a chip-hour"),
            ]
        if self.searched:
            size = f"{self.largest_batch:,}" if self.largest_batch else "none"
            lines.append(f"largest training.batch_size that fits, to within 1/32: {size}")
        return lines

    def advice(self) -> list[str]:
        """What to change where something does not fit, the cheapest first."""
        advice = []
        if not self.training.fits(self.accelerator):
            advice += _smaller_training(self) if self.training.too_large else [OTHER_LAYER]
        if not self.evaluation.fits(self.accelerator) and self.evaluation.too_large:
            advice.append(f"training.evaluation_batch_size: less than {self.config.training.evaluation_batch_size}")
        return advice


OTHER_LAYER = "the layer that is named: the TPU's compiler does not know one of its operations"


def _smaller_training(report: PreflightReport) -> list[str]:
    config, training, chips, advice = report.config, report.config.training, report.accelerator.chips, []
    if report.state_bytes < report.accelerator.chip.hbm_bytes:
        share = training.batch_size // chips // training.gradient_accumulation
        smaller = f"{report.largest_batch}" if report.largest_batch else f"less than {training.batch_size}"
        if share > 1:
            advice.append(f"training.batch_size: {smaller}; --find-batch finds about the largest that fits")
            parts = f"more than {training.gradient_accumulation}"
            advice.append(f"training.gradient_accumulation: {parts}, the same update with less memory")
        if not training.rematerialize:
            advice.append("training.rematerialize: true, the same update with less memory and about a third more work")
        advice.append(f"model.max_length: less than {config.model.max_length}")
    else:
        advice.append("weights and optimizer alone do not fit: a smaller model.preset, or a chip with more memory")
    if training.precision == "float32":
        advice.append("training.precision: mixed_bfloat16")
    if config.model.trainable == "all":
        advice.append("model.trainable: last_N_layers or head, with fewer gradients and optimizer slots")
    return advice


def _shape_json(shape: Shape, accelerator: Accelerator) -> dict[str, Any]:
    outcome = shape.outcome
    figures = asdict(outcome)
    if isinstance(outcome, Compiled):
        figures |= {"total_bytes": outcome.total_bytes, "hbm_share": outcome.total_bytes / accelerator.chip.hbm_bytes}
    names = ("program", "batch", "share", "length")
    compiles = isinstance(outcome, Compiled)
    return {name: getattr(shape, name) for name in names} | {
        "compiles": compiles,
        "fits": shape.fits(accelerator),
        **figures,
    }


def gib(count: float) -> str:
    """Bytes in words."""
    return f"{count / GIB:.2f} GiB" if count >= GIB / 100 else f"{count / 2**20:.2f} MiB"


def duration(seconds: float) -> str:
    """Seconds in words."""
    for unit, size in (("h", 3600), ("min", 60), ("s", 1), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"
