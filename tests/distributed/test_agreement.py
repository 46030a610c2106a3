"""Two workers, two logical devices, two hosts of an imitated slice: as one process with the same global batch.

float32, 50 steps, 1e-5.

A new task joins with one entry of `RECIPES` in tests/support/agreement.py.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from agreement import CACHED, RECIPES, ROWS, STEPS, WAYS, ways_of

from kerasft.data.cache.cache import INDEX

TESTS = Path(__file__).resolve().parent.parent
TOLERANCE = 1e-5
# One by every way; `make test-all` has all.
USUAL = {"classification": WAYS}
EVERY = [name for name in RECIPES if USUAL.get(name) != WAYS]
USED = [(name, way) for name, ways in USUAL.items() for way in ways if way != "one"]
REST = [(f"{name}, every way", way) for name in EVERY for way in ways_of(name) if way != "one"]
PAIRS = [*USED, *(pytest.param(*pair, marks=pytest.mark.long) for pair in REST)]
RUNS = [*USUAL, *(pytest.param(f"{name}, every way", marks=pytest.mark.long) for name in EVERY)]

of_each_way = pytest.mark.parametrize("trained, way", PAIRS, indirect=["trained"])


@pytest.fixture(scope="module")
def runs() -> dict[str, dict[str, Path] | Exception]:
    """What was trained already, or why it was not."""
    return {}


@pytest.fixture
def trained(request, runs, tmp_path_factory) -> dict[str, Path]:
    """The run of each way to train one recipe."""
    if request.param not in runs:
        try:
            runs[request.param] = train(request.param, tmp_path_factory.mktemp("agreement"))
        except (AssertionError, subprocess.TimeoutExpired) as error:  # each test says it, and none trains again
            runs[request.param] = error
    if isinstance(runs[request.param], Exception):
        raise runs[request.param]
    return runs[request.param]


def train(param: str, folder: Path) -> dict[str, Path]:
    name = param.removesuffix(", every way")
    ways = ways_of(name) if name != param else dict.fromkeys(["one", *USUAL[name]])
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    command = [sys.executable, str(TESTS / "support" / "agreement.py"), name, *ways]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=550)
    assert done.returncode == 0, done.stderr[-300:] + "".join(log.read_text()[-3000:] for log in folder.glob("*.log"))
    return {way: folder / "runs" / f"{name}-{way}" for way in ways}


def last_state(run: Path) -> tuple[dict[str, np.ndarray], list[dict]]:
    """Weights and optimizer after the last step, and the learning curves with every step's loss."""
    newest = max(run.glob("checkpoints/ckpt-*.index"), key=lambda path: int(path.stem[5:]))
    reader = tf.train.load_checkpoint(str(newest.with_suffix("")))
    tensors = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    arrays = {name: value for name, value in tensors.items() if name.endswith("VARIABLE_VALUE")}
    (progress,) = (value for name, value in tensors.items() if "progress" in name)
    return arrays, json.loads(progress)["history"]


@pytest.mark.slow
@of_each_way
def test_the_weights_and_losses_are_those_of_one_process(trained, way):
    (mine, my_curve), (theirs, their_curve) = (last_state(trained[name]) for name in ("one", way))
    assert mine.keys() == theirs.keys() and len(mine) > 20
    farthest = max(np.abs(mine[name].astype(float) - theirs[name]).max(initial=0) for name in mine)
    losses = _losses(my_curve, their_curve)
    print(
        f"{trained[way].name}: weights and slots within {farthest:.1e}, losses {np.abs(np.subtract(*losses)).max():.1e}"
    )
    assert farthest < TOLERANCE
    np.testing.assert_allclose(*losses, atol=TOLERANCE)


@pytest.mark.slow
@of_each_way
def test_every_example_is_measured_and_answered_once(trained, way):
    one, other = trained["one"], trained[way]
    measured = [json.loads((run / "metrics.json").read_text(encoding="utf-8")) for run in (one, other)]
    for split in ("validation", "test"):
        assert _numbers(measured[0][split]) == pytest.approx(_numbers(measured[1][split]), abs=1e-4)
    assert measured[1]["training"]["replicas"] == 2
    answers = [(run / "predictions" / "test.jsonl").read_text(encoding="utf-8").splitlines() for run in (one, other)]
    rows = [[json.loads(line) for line in lines] for lines in answers]
    texts = [[row.get("prompt", row.get("input", row["text"])) for row in some] for some in rows]
    # Of written ones a sample.
    expected = {"text_generation": 4, "seq2seq": 4}.get(one.name.removesuffix("-one"), ROWS["test"])
    assert texts[0] == texts[1] and len(texts[0]) == expected


@pytest.mark.slow
@pytest.mark.parametrize("trained", RUNS, indirect=True)
def test_workers_keep_one_set_of_features_and_the_next_run_reads_it(trained):
    """That training from them is the same is the test of weights."""
    cached = {way: run for way, run in trained.items() if way in CACHED}
    for way, run in cached.items():
        told = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["training"]["data_cache"]
        assert sorted(told["read"] + told["made"]) == sorted(ROWS)
        assert way == "workers" or told["made"] == []
    runs = cached["workers"].parent
    kept = list((runs.parent / cached["workers"].name.replace("-workers", "-features")).iterdir())
    assert len(kept) == len(ROWS)
    for split in kept:
        told = json.loads(json.loads((split / INDEX).read_text(encoding="utf-8"))["told"])
        assert {file.name for file in split.iterdir()} == {INDEX, *(name for name, *_ in told["shards"])}


def _losses(mine: list[dict], theirs: list[dict]) -> tuple[list[float], list[float]]:
    """Each row of the other curve, which may be of several steps, and the mean of my rows of the same steps."""
    of_step = {row["step"]: row["loss"] for row in mine if "loss" in row}
    assert list(of_step) == list(range(1, STEPS + 1))
    rows = [(row["step"], row["loss"]) for row in theirs if "loss" in row]
    assert rows[-1][0] == STEPS
    firsts = [1, *(step + 1 for step, _ in rows)]
    means = [
        np.mean([of_step[each] for each in range(first, step + 1)]).item() for first, (step, _) in zip(firsts, rows)
    ]
    return means, [loss for _, loss in rows]


def _numbers(value, path: str = "") -> dict[str, float]:
    if isinstance(value, dict):
        return {
            key: number for name, inner in value.items() for key, number in _numbers(inner, f"{path}.{name}").items()
        }
    return {path: float(value)} if isinstance(value, (int, float)) else {}
