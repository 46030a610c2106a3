"""Makes tests/fixtures/nf4.npz: a matrix of random numbers as bitsandbytes keeps it in NF4, and what it makes of it.

Not part of the tests: it needs torch and bitsandbytes in an environment of their own. The fixture was made with the
version that it names.

    python benchmarks/peers/bnb_nf4_fixture.py

The matrix is numpy.random.default_rng(0).normal(0, 0.1, (96, 192)) in float32; its rows are whole blocks of 64, because
bitsandbytes 0.50.2 unpacks other rows wrongly on a CPU (the numbers of a second row with 160 columns are off by 0.19).
"""

from __future__ import annotations

from pathlib import Path

import bitsandbytes
import numpy as np
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit

FILE = Path(__file__).parents[2] / "tests" / "fixtures" / "nf4.npz"


def main() -> None:
    matrix = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (96, 192)).astype(np.float32))
    found = {"version": np.array(bitsandbytes.__version__)}
    for name, double in (("plain", False), ("double", True)):
        codes, state = quantize_4bit(matrix, blocksize=64, compress_statistics=double, quant_type="nf4")
        found[f"{name}_codes"] = codes.numpy().reshape(-1)
        found[f"{name}_scales"] = state.absmax.numpy()
        found[f"{name}_values"] = dequantize_4bit(codes, state).numpy()[::8]
        if double:
            found["levels"] = state.state2.code.numpy()
    np.savez_compressed(FILE, **found)  # pyright: ignore[reportArgumentType]
    print(FILE, FILE.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
