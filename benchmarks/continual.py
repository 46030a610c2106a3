"""Classes that come in stages, without stored texts: final, average incremental and forgetting over orders of classes.

    python -m benchmarks.continual configs/banking77.yaml continual.stages=7 [--orders 3] [key=value ...]

Vectors of the frozen encoder are made once; each order then goes through the sums and the solve of method analytic, as
the stages of a run do. `task.out_of_scope` is taken off, and its rows with it. The last line is also measured for all
classes at once, and by plain ridge regression on the vectors themselves. Nothing is written.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

import numpy as np

from kerasft.config.load import load_config
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal, quiet_tensorflow
from kerasft.continual.figures import figures
from kerasft.continual.memory.ridge import RidgeSums
from kerasft.continual.stage_run import changed
from kerasft.data.tables.splits import stage_splits
from kerasft.data.tables.table import Table
from kerasft.models.presets.presets import resolve_preset
from kerasft.tasks.registry import create_task


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--orders", type=int, default=3)
    args = parser.parse_intermixed_args(argv)
    config, tables = _read(args.config, args.overrides)
    started = time.process_time()
    vectors, targets, kernel = _vectors(config, tables)
    print(f"{config.name}: {', '.join(f'{len(table):,} {name}' for name, table in tables.items())} rows", end="; ")
    print(f"vectors in {time.process_time() - started:.0f} s of processor time", flush=True)
    features = {split: np.maximum(values @ kernel, 0.0) for split, values in vectors.items()}
    results = []
    for order in range(args.orders):
        started = time.process_time()
        found = _sequence(config, order, features, targets)
        results.append(found)
        seconds = time.process_time() - started
        print(f"order {order}: {_line(found)}; {seconds:.0f} s of processor time", flush=True)
    finals = [100 * found["final"] for found in results]
    spread = statistics.stdev(finals) if len(finals) > 1 else 0.0
    print(f"mean final {statistics.mean(finals):.2f}, standard deviation over orders {spread:.2f}")
    print(f"one stage: {100 * _at_once(config, features, targets):.2f}; ridge on the vectors: ", end="")
    print(f"{100 * _at_once(config, vectors, targets):.2f}")


def _read(path: str, overrides: Sequence[str]) -> tuple[Config, dict[str, Table]]:
    """The config with method analytic, and its tables without rows out of scope."""
    config = load_config(path, ["continual.method=analytic", *overrides])
    section = config.model_dump()["task"].get("out_of_scope")
    assert config.continual is not None
    config = changed(config, {"task.out_of_scope": None, "task.random_features": config.continual.features})
    tables = dict(stage_splits(config, create_task(config), Terminal().line).tables)
    if section is not None:
        for split, table in tables.items():
            labels = table.column("label")
            tables[split] = table.select([row for row, label in enumerate(labels) if label != section["label"]])
    return config, tables


Arrays = dict[str, np.ndarray]  # split -> rows


def _vectors(config: Config, tables: dict[str, Table]) -> tuple[Arrays, Arrays, np.ndarray]:
    """Unit vectors and classes of train and test, and the random features' kernel, of the model as it is exported."""
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
    prepared = {split: task.prepare(tables[split], assembled.preprocessor) for split in ("train", "test")}
    vectors = {split: logits(rows) for split, rows in prepared.items()}
    return vectors, {split: rows.targets for split, rows in prepared.items()}, keras.ops.convert_to_numpy(layer.kernel)


def _sequence(config: Config, order: int, features: Arrays, targets: Arrays) -> dict:
    section = config.continual
    assert section is not None and isinstance(section.stages, int) and section.method == "analytic"
    classes = np.random.default_rng(order).permutation(targets["train"].max() + 1)  # as the stages of a run have them
    parts = np.array_split(classes, section.stages)
    sums, matrix = RidgeSums.empty("", features["train"].shape[1]), []
    for stage, part in enumerate(parts):
        known = np.concatenate(parts[: stage + 1])
        sums.grow([str(name) for name in known])
        place = np.full(len(classes), -1)
        place[known] = np.arange(len(known))
        rows = np.isin(targets["train"], part)
        sums.add(features["train"][rows], place[targets["train"][rows]])
        tested = np.isin(targets["test"], known)
        right = (features["test"][tested] @ sums.solve(section.ridge)).argmax(1) == place[targets["test"][tested]]
        matrix.append([float(right[np.isin(targets["test"][tested], other)].mean()) for other in parts[: stage + 1]])
    return figures(matrix, [int(np.isin(targets["test"], part).sum()) for part in parts])


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
