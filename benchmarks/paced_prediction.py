"""kerasft's side of `predict_throughput`: what `kerasft.predict RUN --input FILE` does once the run is loaded.

    python -m benchmarks.paced_prediction RUN FILE PRECISION

A step is all texts of the file in, and a line of JSON each, in the file's order, out; see benchmarks/peers/pacing.py.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.peers.pacing import Pace
from kerasft.console.terminal import quiet_tensorflow
from kerasft.data.sources.sources import read_input
from kerasft.runs import Run

BATCH = 64  # the program's own


def main() -> None:
    folder, texts, precision = sys.argv[1:]
    quiet_tensorflow(False)
    from kerasft.distribution.threads import share_threads
    from kerasft.inference.batches import AT_ONCE, answer_lines, with_fused_layers
    from kerasft.inference.local import LocalPredictor
    from kerasft.training.layers.precision import bfloat16_products, rewrites

    share_threads(AT_ONCE)
    predictor, pace = LocalPredictor(with_fused_layers(Run.open(Path(folder)).load(), rewrites(precision))), Pace()
    count = len(Path(texts).read_text(encoding="utf-8").splitlines())
    with bfloat16_products(rewrites(precision)):
        pace.begin()
        while True:
            with tempfile.TemporaryFile("w") as file:
                records = read_input(texts, "auto")
                lines = answer_lines(predictor, records, predictor.answer_batch, BATCH, waits=False)
                file.writelines(f"{line}\n" for line in lines)
            pace.after_step(count, 0)


if __name__ == "__main__":
    main()
