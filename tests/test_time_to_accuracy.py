"""The benchmark of time to accuracy: recipes that load, runs that are not repeated, and a time that counts or not."""

import pytest

from benchmarks import time_to_accuracy
from kerasft.config.load import load_config

SECONDS = {"peer": 200.0, "kerasft": 50.0}


def rows(accuracy: dict[str, float]) -> list[dict]:
    return [
        {"data": "r8", "seed": seed, "side": side, "accuracy": mean + change, "seconds": SECONDS[side]}
        for side, mean in accuracy.items()
        for seed, change in enumerate((0.01, -0.01))
    ]


@pytest.mark.parametrize("name", time_to_accuracy.RECIPES)
def test_recipes_are_configs_that_end_with_their_last_weights(name):
    file, recipe = time_to_accuracy.RECIPES[name]
    settings = [*recipe, *time_to_accuracy.LAST_WEIGHTS]
    config = load_config(str(time_to_accuracy.ROOT / "configs" / file), settings)
    assert config.data.validation == 0.01 and config.training.early_stopping is None


def test_a_time_counts_where_the_accuracy_of_the_peer_was_reached():
    reached = time_to_accuracy.table(rows({"peer": 0.9, "kerasft": 0.91}))
    assert "| r8 | 90.00 (91.0, 89.0) in 200 s | 91.00 (92.0, 90.0) in 50 s | 0.25 of the peer's |" in reached
    assert "not reached" in time_to_accuracy.table(rows({"peer": 0.9, "kerasft": 0.89}))
    assert "| r8 |  | 89.00 (90.0, 88.0) in 50 s |  |" in time_to_accuracy.table(rows({"kerasft": 0.89}))


def test_a_run_that_is_in_the_results_is_not_repeated(tmp_path, monkeypatch):
    trained = []

    def run_kerasft(config, seed, overrides):
        trained.append(seed)
        return {"accuracy": 0.9, "macro_f1": 0.8, "seconds": 10.0}

    monkeypatch.setattr(time_to_accuracy, "run_kerasft", run_kerasft)
    results = tmp_path / "results.jsonl"
    first = time_to_accuracy.run(results, "banking77", 0, "kerasft", "")
    assert time_to_accuracy.run(results, "banking77", 0, "kerasft", "") == first
    time_to_accuracy.run(results, "banking77", 1, "kerasft", "")
    monkeypatch.setitem(time_to_accuracy.RECIPES, "banking77", ("banking77.yaml", ("training.steps=2",)))
    time_to_accuracy.run(results, "banking77", 0, "kerasft", "")
    assert trained == [0, 1, 0]
