"""Cloud TPU chips: what Google publishes of each, and how many an accelerator type such as v5e-8 has."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field

from kerasft.errors import UserError

GB, GIB = 10**9, 2**30


@dataclass(frozen=True)
class Chip:
    """One chip as Google Cloud's documentation has it.

    Attributes:
        name: as in accelerator types.
        flops: peak bfloat16 FLOP/s.
        hbm_bytes: high-bandwidth memory; GB in the documentation, GiB by libtpu's count, which keeps 1/4 GiB back.
        hbm_bandwidth: bytes/s.
        ici_bandwidth: bytes/s to other chips, both directions together.
        unit: chips that the number of an accelerator type counts as one: v4 and v5p count TensorCores, two a chip.
        most: chips of the largest slice.
        topology: libtpu's name of a slice to compile for; the program of one chip is the same in each.
        options: of that topology.
        source: where the figures stand.
    """

    name: str
    flops: float
    hbm_bytes: int
    hbm_bandwidth: float
    ici_bandwidth: float
    unit: float
    most: int
    topology: str
    source: str
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Accelerator:
    """A slice of some chips."""

    name: str
    chip: Chip
    chips: int


DOCS = "https://cloud.google.com/tpu/docs"
CHIPS = {
    chip.name: chip
    for chip in (
        # Two TensorCores that work as one device (megacore), as TensorFlow and JAX use a v4; libtpu has to be told.
        Chip("v4", 275e12, 32 * GIB, 1200 * GB, 600 * GB, 0.5, 4096, "v4:2x2x1", f"{DOCS}/v4",
             {"chip_config_name": "megacore"}),
        Chip("v5e", 197e12, 16 * GIB, 819 * GB, 400 * GB, 1, 256, "v5e:1x1", f"{DOCS}/v5e"),
        Chip("v5p", 459e12, 95 * GIB, 2765 * GB, 1200 * GB, 0.5, 6144, "v5p:2x2x1", f"{DOCS}/v5p"),
        Chip("v6e", 918e12, 32 * GIB, 1640 * GB, 800 * GB, 1, 256, "v6e:1x1", f"{DOCS}/v6e"),
    )
}  # fmt: skip
SPELLINGS = {"v5litepod": "v5e"}  # gcloud's own name


def parse_accelerator(text: str) -> Accelerator:
    """`v5e-8` -> the chip and how many.

    Raises:
        UserError: there is no such chip, or it does not come in this size.
    """
    match = re.fullmatch(r"(v\w+)-([0-9]{1,5})", text)
    if not match:
        raise UserError(f"--accelerator: {text!r} is not a type such as v5e-8, v6e-8, v4-8 or v5p-8")
    name = SPELLINGS.get(match[1], match[1])
    if name not in CHIPS:
        near = difflib.get_close_matches(name, CHIPS, 1)
        fix = f"did you mean {near[0]}?" if near else f"there are {', '.join(CHIPS)}"
        raise UserError(f"--accelerator: {text!r}: no chip {match[1]} is known here; {fix}")
    chip, number = CHIPS[name], int(match[2])
    chips = number * chip.unit
    sizes = _sizes(chip)
    if chips not in sizes:
        sizes_text = ", ".join(f"{name}-{size / chip.unit:.0f}" for size in sizes[:6])
        raise UserError(f"--accelerator: {text!r} is no size that is rented; there are {sizes_text} and so on")
    return Accelerator(f"{name}-{number}", chip, int(chips))


def _sizes(chip: Chip) -> list[int]:
    """Chips of the slices that can be rented: part of a host and powers of two for v5e and v6e, whole hosts else."""
    if chip.unit == 1:
        return [1, 4, 8, 16, 32, 64, 128, 256]
    return list(range(4, chip.most + 1, 4))
