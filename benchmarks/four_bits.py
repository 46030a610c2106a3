"""Perplexity and bytes of SmolLM2 in four bits: rounded, by GPTQ and by AWQ, as `method=quantize storage=int4` does.

    python -m benchmarks.four_bits [--preset gguf:FILE] [--limit WINDOWS] [--rows WINDOWS] [--window 512]

Matrices are fitted to windows of WikiText-2's validation file, from all over it, and measured on the first windows of
its test file, cut as in gguf_perplexity.py. Tables of tokens are int8. What is measured is read again from the file.
The default preset was in four bits before (Q4_1 of llama.cpp), so it may lose less than one that never was.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from benchmarks.gguf_perplexity import PRESET, cut, kerasft, token_ids
from benchmarks.sides import ROOT
from kerasft.compress.four_bit_backbone import four_bit_backbone
from kerasft.console.terminal import quiet_tensorflow
from kerasft.models.presets.narrow_weights import narrow_preset
from kerasft.models.presets.presets import load_backbone, load_tokenizer, resolve_preset, save_preset

ROUNDINGS = ("nearest", "gptq", "awq")


class Windows:
    """Rows of token ids in the place of a split."""

    def __init__(self, windows: list[list[int]]):
        self.ids = np.array([window for window in windows if len(window) == len(windows[0])], np.int32)

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, rows: np.ndarray):
        return {"token_ids": self.ids[rows], "padding_mask": np.ones_like(self.ids[rows])}, None, None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default=PRESET)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "wikitext2")
    parser.add_argument("--window", type=int, default=512, help="tokens")
    parser.add_argument("--limit", type=int, default=24, help="windows of the test file that are measured")
    parser.add_argument("--rows", type=int, default=64, help="windows that matrices are fitted to")
    args = parser.parse_args()
    preset = resolve_preset(args.preset)
    quiet_tensorflow(False)
    read = {name: (args.data / f"{name}.txt").read_text(encoding="utf-8") for name in ("validation", "test")}
    windows = {name: cut(token_ids(preset, text), args.window) for name, text in read.items()}
    backbone, tokenizer = load_backbone(preset, dtype="float32"), load_tokenizer(preset)
    assembled = SimpleNamespace(backbone=backbone, model=backbone)
    source = SimpleNamespace(assembled=assembled, prepared=Windows(windows["validation"]))
    test = windows["test"][: args.limit]
    with tempfile.TemporaryDirectory() as folder:
        plain = _saved(Path(folder) / "plain", backbone, tokenizer, None)
        before = kerasft(preset, test)["perplexity"]
        print(
            f"{len(test)} windows of {args.window}: perplexity {before:.3f}, {plain / 1e6:.1f} MB in float32",
            flush=True,
        )
        for rounding in ROUNDINGS:
            made, bits = four_bit_backbone(source, rounding, args.rows)  # type: ignore[arg-type]
            size = _saved(Path(folder) / rounding, made, tokenizer, bits)
            after = kerasft(str(Path(folder) / rounding), test)["perplexity"]
            share = f"{size / 1e6:.1f} MB, {size / plain:.3f} of float32, {2 * size / plain:.3f} of 16 bits"
            print(f"{rounding:<8} perplexity {after:.3f} ({after / before - 1:+.2%}), {share}", flush=True)


def _saved(folder: Path, backbone, tokenizer, bits) -> int:
    """Bytes of the weights' file."""
    folder.mkdir()
    save_preset(backbone, tokenizer, str(folder))
    if bits is not None:
        narrow_preset(folder, "int4", bits)
    return (folder / "model.weights.h5").stat().st_size


if __name__ == "__main__":
    main()
