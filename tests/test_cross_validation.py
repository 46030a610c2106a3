"""`data.folds` and `--compare`: several runs, and what they have in common."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.projects import make_project

from kerasft import train
from kerasft.config.load import load_config
from kerasft.cross_validation.comparison import Side, changed_config, difference
from kerasft.cross_validation.folds import assign_folds
from kerasft.errors import UserError
from kerasft.evaluation.intervals import bootstrap_interval, recorded_resamples
from kerasft.session import train_run


@pytest.mark.parametrize("seed", range(4))
def test_folds_keep_copies_together_and_strata_in_proportion(seed):
    draw = np.random.default_rng(seed)
    strata = draw.choice(3, 600, p=[0.7, 0.25, 0.05])
    keys = [f"{strata[row]} {draw.integers(0, 400)}" for row in range(600)]
    folds = assign_folds(keys, strata, 5, seed)
    for key in set(keys):
        assert len({int(fold) for fold, other in zip(folds, keys) if other == key}) == 1
    for stratum in range(3):
        counts = np.bincount(folds[strata == stratum], minlength=5)
        assert counts.max() - counts.min() <= 4
    assert (assign_folds(keys, strata, 5, seed) == folds).all()
    assert (assign_folds(keys, strata, 5, seed + 1) != folds).any()


def test_fewer_rows_than_folds_are_refused():
    with pytest.raises(UserError, match="data.folds: 5 folds of 3 different rows; use 3 or fewer"):
        assign_folds(["a", "b", "b", "c"], None, 5, 0)


def test_resamples_of_two_statistics_are_of_the_same_rows():
    one = np.random.default_rng(0).normal(size=50)
    with recorded_resamples() as records:
        bootstrap_interval(np.mean, one, seed=3)
        bootstrap_interval(np.mean, one + 1.0, seed=3)
    assert np.allclose(records[1].values - records[0].values, 1.0)
    run = type("Run", (), {"config": type("Config", (), {"name": "x"})})()
    sides = [Side(run, float(np.mean(one) + at), "mean", records[at]) for at in (1, 0)]
    result = difference(*sides)
    assert (result["low"], result["difference"], result["high"]) == pytest.approx((1.0, 1.0, 1.0))


@pytest.fixture
def project(tmp_path, tiny_preset, monkeypatch):
    monkeypatch.chdir(tmp_path)
    training = {"epochs": 1, "batch_size": 16, "optimizer": {"learning_rate": 3e-2}}
    make_project(tmp_path, tiny_preset, rows=48, training=training, export={"enabled": False})
    lines = Path("train.jsonl").read_text().splitlines()
    Path("train.jsonl").write_text("\n".join([*lines, lines[0], '{"text": "goal", "label": "rare"}']) + "\n")
    return "config.yaml"


def test_folds_are_trained_and_every_row_is_answered_by_a_model_that_did_not_learn_it(project, capsys):
    assert train.main([project, "data.folds=2"]) == 0
    summary = json.loads(Path("runs/tiny/cross_validation.json").read_text())
    values = summary["metrics"]["accuracy"]["values"]
    assert summary["folds"] == 2 == len(values) and sum(summary["rows_of_folds"]) == 50
    assert summary["mean"] == pytest.approx(np.mean(values))
    assert summary["deviation"] == pytest.approx(np.std(values, ddof=1))
    rows = [json.loads(line) for line in Path("runs/tiny/predictions/out_of_fold.jsonl").read_text().splitlines()]
    assert [row["where"] for row in rows] == [f"train.jsonl:{number}" for number in range(1, 51)]
    assert rows[0]["fold"] == rows[48]["fold"] and {row["fold"] for row in rows} == {1, 2}
    assert set(rows[0]["probabilities"]) == {"money", "rare", "sport"}, "of a class that a fold lacks, too"
    right = np.mean([row["label"] == row["truth"] for row in rows])
    assert right == pytest.approx(np.average(values, weights=summary["rows_of_folds"]))
    assert "accuracy: mean" in capsys.readouterr().out
    assert train.main([project, "data.folds=2"]) == 2
    assert "runs/tiny exists" in capsys.readouterr().err
    Path("runs/tiny/cross_validation.json").unlink()
    assert train.main([project, "data.folds=2", "--resume"]) == 0
    assert json.loads(Path("runs/tiny/cross_validation.json").read_text()) == summary


def test_one_run_is_none_of_several(project):
    with pytest.raises(UserError, match="data.folds: 2 runs; kerasft train alone trains them"):
        train_run(load_config(project, ["data.folds=2"]))


def test_two_runs_of_one_seed_are_compared(project, capsys):
    assert train.main([project, "data.clean.duplicates=drop", "--compare", "data.clean=null"]) == 0
    result = json.loads(Path("runs/tiny/comparison.json").read_text())
    metrics = [json.loads(Path(f"runs/{name}/metrics.json").read_text())["test"] for name in ("tiny", "tiny-compared")]
    assert result["runs"] == {"tiny": metrics[0]["accuracy"], "tiny-compared": metrics[1]["accuracy"]}
    assert result["difference"] == pytest.approx(metrics[0]["accuracy"] - metrics[1]["accuracy"])
    assert result["low"] <= result["difference"] <= result["high"] and result["rows"] == 33
    report = Path("runs/tiny/report.html").read_text()
    assert "Data before training" in report and "few rows" in report and "empty texts" not in report
    assert report.index("Data before training") < report.index("Learning curves")
    assert "the first less the second (data.clean=null)" in capsys.readouterr().out


def test_a_comparison_that_could_not_end_is_refused_before_it_begins(project, capsys):
    Path("runs/tiny-compared").mkdir(parents=True)
    Path("runs/tiny-compared/mine.txt").write_text("x")
    assert train.main([project, "--compare", "data.clean={}"]) == 2
    assert "runs/tiny-compared" in capsys.readouterr().err and not Path("runs/tiny").exists()
    assert train.main([project, "data.shots=8", "--compare", "data.draws=2"]) == 2
    assert "data.draws: --compare data.draws=2 needs a config that trains one run" in capsys.readouterr().err
    left_out = ["data.validation=leave_one_out", "data.test=null", "training.fit_head=true", "training.epochs=null",
                "training.steps=0"]  # fmt: skip
    assert train.main([project, *left_out, "--compare", "data.clean={}"]) == 2
    assert "leaves no rows that the model has not seen; name data.test" in capsys.readouterr().err


def test_folds_are_validated_by_leaving_out_one_of_their_own_rows(project):
    left_out = ["data.validation=leave_one_out", "training.fit_head=true", "training.epochs=null", "training.steps=0"]
    assert train.main([project, "data.folds=2", *left_out]) == 0
    summary = json.loads(Path("runs/tiny/cross_validation.json").read_text())
    assert sum(summary["rows_of_folds"]) == 50


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.clean=null", "the config has that already"),
        ("seed=1", "seed changes nothing that is compared"),
        ("data.cleen=null", "data.cleen"),
    ],
)
def test_a_change_that_compares_nothing_is_refused(project, change, message):
    with pytest.raises(UserError, match=message):
        changed_config(load_config(project), change)
