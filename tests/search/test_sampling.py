"""What trials try, and which of them end early: against Optuna's own rules, and again after a kill."""

import math
import random
import subprocess
import sys

import optuna
import pytest
from optuna.trial import TrialState

from kerasft.config.search import DEFAULT_SPACES, RangeConfig, SearchConfig
from kerasft.search.pruning import Pruning
from kerasft.search.ranges import distributions, grid, share_of, value_at
from kerasft.search.sampling import draw

SPACE = {
    "rate": RangeConfig.model_validate({"log": [1e-5, 1e-1], "points": 3}),
    "share": RangeConfig.model_validate({"linear": [0.0, 0.5], "points": 2}),
    "layers": RangeConfig.model_validate({"whole": [1, 3]}),
}
CHOICE = {"name": RangeConfig.model_validate({"choice": ["adamw", None, True]})}
optuna.logging.set_verbosity(optuna.logging.ERROR)


def finished(number: int, values: dict, score: float, space=SPACE, **notes) -> optuna.trial.FrozenTrial:
    trial = optuna.trial.create_trial(
        params=values, distributions=distributions(space), values=[score], user_attrs=notes, state=TrialState.COMPLETE
    )
    trial.number = number
    return trial


def searched(sampler: str, trials: int, seed: int = 0) -> list:
    """Draws after one another; a trial is good near a rate of 1e-3 and a share of 0.1."""
    search, done = SearchConfig(sampler=sampler), []
    for number in range(trials):
        values, notes = draw(search, SPACE, seed, number, done, ["maximize"])
        score = -abs(math.log10(values["rate"]) + 3) - abs(values["share"] - 0.1)
        done.append(finished(number, values, score, **notes))
    return done


def test_a_grid_has_every_combination_once():
    points = grid(SPACE | CHOICE)
    assert len(points) == 3 * 2 * 3 * 3 == len({str(point) for point in points})
    assert [point["rate"] for point in points[::18]] == [1e-5, 1e-3, 1e-1]
    drawn = [draw(SearchConfig(sampler="grid"), SPACE, 0, number, [], ["maximize"])[0] for number in range(18)]
    assert drawn == grid(SPACE)


def test_a_random_search_draws_the_same_values_on_any_machine():
    search = SearchConfig(sampler="random")
    assert draw(search, SPACE | CHOICE, 7, 3, [], ["maximize"])[0] == {
        "rate": 0.0125154,
        "share": 0.0680993,
        "layers": 1,
        "name": "adamw",
    }


def test_random_numbers_fill_their_range():
    search = SearchConfig(sampler="random")
    rates = [draw(search, SPACE, 0, number, [], ["maximize"])[0]["rate"] for number in range(400)]
    below = sum(rate < 1e-3 for rate in rates)
    assert 160 < below < 240 and min(rates) >= 1e-5 and max(rates) <= 1e-1


@pytest.mark.parametrize("sampler, trials", [("tpe", 30), ("cmaes", 30)])
def test_a_model_finds_better_values_than_chance_and_draws_them_again(sampler, trials):
    one = searched(sampler, trials)
    last = [trial.values[0] for trial in one[-8:]]
    chance = [trial.values[0] for trial in searched("random", trials)[-8:]]
    assert sum(last) / 8 > sum(chance) / 8 + 0.3
    again = draw(SearchConfig(sampler=sampler), SPACE, 0, trials - 1, one[:-1], ["maximize"])[0]
    assert again == one[-1].params


def test_shares_and_values_are_inverse():
    for section in SPACE.values():
        for share in (0.0, 0.3, 0.5, 1.0):
            value = value_at(section, share)
            assert value_at(section, share_of(section, value)) == value


def test_default_ranges_fit_the_schema_of_every_task():
    for ranges in DEFAULT_SPACES.values():
        assert SearchConfig.model_validate({"space": ranges, "sampler": "grid"}).space


def curves_of(seed: int, trials: int, falls: bool) -> dict[int, dict[int, float]]:
    source = random.Random(seed)
    sign = -1 if falls else 1
    return {
        number: {step: sign * round(source.random() + step / 30, 3) for step in range(5, 50, 5)}
        for number in range(trials)
    }


def pruned_by_optuna(pruner, curves, falls: bool) -> dict[int, int]:
    """Trial -> the step at which Optuna ends it."""
    study = optuna.create_study(direction="minimize" if falls else "maximize", pruner=pruner)
    ended = {}
    for number, curve in curves.items():
        trial = study.ask()
        for step, value in curve.items():
            trial.report(value, step)
            if trial.should_prune():
                ended[number] = step
                break
        state = TrialState.PRUNED if number in ended else TrialState.COMPLETE
        study.tell(trial, None if number in ended else value, state=state)
    return ended


def pruned_by_us(rule: Pruning, curves) -> dict[int, int]:
    seen, complete, ended = {}, [], {}
    for number, curve in curves.items():
        seen[number] = {}
        for step, value in curve.items():
            seen[number][step] = value
            first = rule.ends(number, step, seen, complete)
            assert rule.ends(number, step, seen, complete) == first  # nothing is kept between two questions
            if first:
                ended[number] = step
                break
        else:
            complete.append(number)
    return ended


@pytest.mark.parametrize("falls", [False, True])
def test_halving_is_that_of_optuna(falls):
    curves = curves_of(1, 25, falls)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=5, reduction_factor=3, min_early_stopping_rate=0)
    expected = pruned_by_optuna(pruner, curves, falls)
    assert pruned_by_us(Pruning("asha", falls, first_rung=5), curves) == expected
    assert pruned_by_us(Pruning("asha", falls), curves) == expected and len(expected) > 10


@pytest.mark.parametrize("falls", [False, True])
def test_the_median_rule_is_that_of_optuna(falls):
    curves = curves_of(2, 25, falls)
    expected = pruned_by_optuna(optuna.pruners.MedianPruner(n_startup_trials=5), curves, falls)
    assert pruned_by_us(Pruning("median", falls), curves) == expected and len(expected) > 5


def test_hyperband_halves_within_brackets_and_spares_later_ones():
    rule = Pruning("hyperband", falls=False, first_rung=5, steps=45)
    brackets = [rule._bracket(number, 5) for number in range(15)]
    assert sorted(set(brackets)) == [0, 1, 2]
    ended = pruned_by_us(rule, curves_of(3, 30, False))
    assert min(ended.values()) == 5
    assert all(step >= 15 for number, step in ended.items() if rule._bracket(number, 5) == 1)
    assert not any(rule._bracket(number, 5) == 2 and step < 45 for number, step in ended.items())


def test_what_is_no_number_ends():
    assert Pruning("asha", falls=False).ends(0, 5, {0: {5: math.nan}}, [])


def test_the_parent_of_trials_never_loads_tensorflow():
    code = "import kerasft.search.command, kerasft.search.conclusion, kerasft.search.process, sys; "
    code += "import kerasft.search.worker; assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
