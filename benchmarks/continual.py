"""Classes that come in stages, on vectors made once: final, average incremental and forgetting over orders of classes.

    python -m benchmarks.continual configs/banking77.yaml continual.stages=7 [--orders 3] [key=value ...]

`continual.method` is analytic (the default), prototypes, replay, der++, lwf, ewc, l2sp or none. Vectors of the frozen
encoder are made once, and kept in --vectors FILE where one is named. Each order then goes through what the stages of a
run go through: the sums and the solve, or the steps of a head (`model.trainable: head`) with the config's optimizer,
and the buffer. What differs from a run: rows are in another order, and dropout draws other numbers.
`task.out_of_scope` is taken off, and its rows with it. With analytic, the last line is also measured for all classes
at once, and by plain ridge regression on the vectors themselves. Nothing else is written.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasft.config.continual import AnalyticConfig
from kerasft.config.load import load_config
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal, quiet_tensorflow
from kerasft.continual.figures import figures
from kerasft.continual.memory.ridge import RidgeSums
from kerasft.continual.stage_run import changed
from kerasft.data.splits import stage_splits
from kerasft.data.tables.table import Table
from kerasft.models.presets.presets import resolve_preset
from kerasft.tasks.registry import create_task


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--orders", type=int, default=3)
    parser.add_argument("--split", default="test", help="that is measured; validation to choose keys by")
    parser.add_argument("--vectors", type=Path, help="a .npz file that keeps the vectors")
    args = parser.parse_intermixed_args(argv)
    config, tables = _read(args.config, args.overrides)
    started = time.process_time()
    vectors, targets, kernel = _kept(args.vectors, lambda: _vectors(config, tables))
    print(f"{config.name}: {', '.join(f'{len(table):,} {name}' for name, table in tables.items())} rows", end="; ")
    print(f"vectors in {time.process_time() - started:.0f} s of processor time", flush=True)
    section, measured = config.continual, args.split
    assert section is not None
    features = vectors
    if section.method == "analytic":
        features = {split: np.maximum(values @ kernel, 0.0) for split, values in vectors.items()}
    results = []
    for order in range(args.orders):
        started = time.process_time()
        found = _sequence(config, order, features, targets, measured)
        results.append(found)
        seconds = time.process_time() - started
        print(f"order {order}: {_line(found)}; {seconds:.0f} s of processor time", flush=True)
    finals = [100 * found["final"] for found in results]
    spread = statistics.stdev(finals) if len(finals) > 1 else 0.0
    print(f"{section.method}: mean final {statistics.mean(finals):.2f}, standard deviation over orders {spread:.2f}")
    if section.method == "analytic":
        print(f"one stage: {100 * _at_once(config, features, targets):.2f}; ridge on the vectors: ", end="")
        print(f"{100 * _at_once(config, vectors, targets):.2f}")


def _read(path: str, overrides: Sequence[str]) -> tuple[Config, dict[str, Table]]:
    """The config, whose method is analytic where it names none, and its tables without rows out of scope."""
    named = any(override.startswith(("continual.method=", "continual={")) for override in overrides)
    config = load_config(path, overrides)
    if config.continual is None and not named:
        config = load_config(path, ["continual.method=analytic", *overrides])
    section = config.model_dump()["task"].get("out_of_scope")
    assert config.continual is not None
    count = config.continual.features if config.continual.method == "analytic" else 3000
    config = changed(config, {"task.out_of_scope": None, "task.random_features": count})
    tables = dict(stage_splits(config, create_task(config), Terminal().line).tables)
    if section is not None:
        for split, table in tables.items():
            labels = table.column("label")
            tables[split] = table.select([row for row, label in enumerate(labels) if label != section["label"]])
    return config, tables


if TYPE_CHECKING:
    from benchmarks.continual_heads import Stepped

Arrays = dict[str, np.ndarray]  # split -> rows


def _vectors(config: Config, tables: dict[str, Table]) -> tuple[Arrays, Arrays, np.ndarray]:
    """Unit vectors and classes of each split, and the random features' kernel, of the model as it is exported."""
    quiet_tensorflow(False)
    import keras
    import tensorflow as tf

    from kerasft.assembly import assemble
    from kerasft.evaluation.evaluate import Evaluator
    from kerasft.models.heads.text_classifier import RANDOM_FEATURES

    task = create_task(config)
    task.fit(tables)
    assembled = assemble(config, task, preset=resolve_preset(config.model.preset))
    layer = assembled.model.get_layer(RANDOM_FEATURES)
    part = keras.Model(assembled.model.input, layer.input)
    logits = Evaluator(part, tf.distribute.get_strategy(), 64).logits
    prepared = {split: task.prepare(tables[split], assembled.preprocessor) for split in tables}
    vectors = {split: logits(rows) for split, rows in prepared.items()}
    return vectors, {split: rows.targets for split, rows in prepared.items()}, keras.ops.convert_to_numpy(layer.kernel)


def _kept(
    file: Path | None, make: Callable[[], tuple[Arrays, Arrays, np.ndarray]]
) -> tuple[Arrays, Arrays, np.ndarray]:
    """What `make` gives, or what a file has of it."""
    if file is None or not file.is_file():
        vectors, targets, kernel = make()
        if file is not None:
            named = {f"targets_{name}": values for name, values in targets.items()}
            np.savez(file, kernel=kernel, **vectors, **named)  # pyright: ignore[reportArgumentType]
        return vectors, targets, kernel
    with np.load(file, allow_pickle=False) as saved:
        arrays = {name: saved[name] for name in saved.files}
    kernel = arrays.pop("kernel")
    targets = {name.removeprefix("targets_"): arrays.pop(name) for name in list(arrays) if name.startswith("targets_")}
    return arrays, targets, kernel


def _learner(config: Config, width: int) -> Summed | Stepped:
    if config.continual is not None and config.continual.method in ("analytic", "prototypes"):
        return Summed(config, width)
    quiet_tensorflow(False)
    from benchmarks.continual_heads import Stepped

    return Stepped(config, width)


def _sequence(config: Config, order: int, features: Arrays, targets: Arrays, measured: str) -> dict:
    section = config.continual
    assert section is not None and isinstance(section.stages, int)
    classes = np.random.default_rng(order).permutation(targets["train"].max() + 1)  # as the stages of a run have them
    parts, matrix = np.array_split(classes, section.stages), []
    learner = _learner(config, features["train"].shape[1])
    for stage, part in enumerate(parts):
        known = np.concatenate(parts[: stage + 1])
        place = np.full(len(classes), -1)
        place[known] = np.arange(len(known))
        rows = np.isin(targets["train"], part)
        scores = learner.learn(features["train"][rows], place[targets["train"][rows]], len(known), stage)
        tested = np.isin(targets[measured], known)
        right = scores(features[measured][tested]).argmax(1) == place[targets[measured][tested]]
        matrix.append([float(right[np.isin(targets[measured][tested], one)].mean()) for one in parts[: stage + 1]])
    return figures(matrix, [int(np.isin(targets[measured], part).sum()) for part in parts])


Scores = Callable[[np.ndarray], np.ndarray]  # (rows, width) -> (rows, classes)


class Summed:
    """Methods analytic and prototypes."""

    def __init__(self, config: Config, width: int):
        self.section, self.sums = config.continual, RidgeSums.empty("", width)

    def learn(self, features: np.ndarray, targets: np.ndarray, classes: int, stage: int) -> Scores:
        self.sums.grow([str(place) for place in range(classes)])
        self.sums.add(features, targets)
        if isinstance(self.section, AnalyticConfig):
            weights = self.sums.solve(self.section.ridge)
        else:
            weights = self.sums.products / np.maximum(np.linalg.norm(self.sums.products, axis=0), 1e-12)
        return lambda rows: rows @ weights


def _at_once(config: Config, features: Arrays, targets: Arrays) -> float:
    section = config.continual
    assert section is not None and section.method == "analytic"
    sums = RidgeSums.empty("", features["train"].shape[1])
    sums.grow([str(name) for name in range(targets["train"].max() + 1)])
    sums.add(features["train"], targets["train"])
    return float(((features["test"] @ sums.solve(section.ridge)).argmax(1) == targets["test"]).mean())


def _line(found: dict) -> str:
    names = ("final", "average_incremental", "forgetting")
    return ", ".join(f"{name.replace('_', ' ')} {100 * found[name]:.2f}" for name in names)


if __name__ == "__main__":
    main()
