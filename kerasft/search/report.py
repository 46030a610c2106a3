"""report.html of a search: the winner and how far to trust it, every trial, and what mattered."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kerasft.evaluation.report.blocks import Block, Code, Facts, Figure, Section, Table
from kerasft.evaluation.report.rendering import render, write_page
from kerasft.search import plots
from kerasft.search.folder import SearchFolder
from kerasft.search.ranges import Direction
from kerasft.search.store import OUTCOME, VALUES, WHY, Store
from kerasft.search.table import STATE, front, score_text

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from kerasft.search.worker import Goal

FEWEST = 10  # complete trials for importances: of fewer they say nothing


def write_search(search: SearchFolder, store: Store, goal: Goal, winner: Mapping[str, Any]) -> None:
    """Writes the page; `winner` is what winner.json holds."""
    trials, best = store.trials(), [trial.number for trial in front(store.trials(), store.directions)]
    keys = list(search.settings.space or {})
    sections = [
        _winner(goal, winner),
        _curves(trials, winner["trial"], goal),
        _what_mattered(search, store, trials, winner["trial"], goal),
        _front(search, trials, best, goal),
        _trials(search, trials, keys, goal),
        Section("How it was made", [Code("winner.yaml", (search.path / "winner.yaml").read_text(encoding="utf-8"))]),
    ]
    counts = {state: sum(STATE[trial.state] == state for trial in trials) for state in STATE.values()}
    summary = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    page = render(
        "search.html.j2",
        title=search.config.name,
        summary=f"{len(trials)} trials: {summary}. Sampler {search.settings.sampler}, pruner "
        f"{search.settings.chosen_pruner}.",
        sections=[section for section in sections if section is not None],
    )
    write_page(search.path / "report.html", page)


def _winner(goal: Goal, winner: Mapping[str, Any]) -> Section:
    facts = [
        ("Trial", str(winner["trial"])),
        (f"Validation {goal.headline}, best of all", _score(winner["validation"])),
    ]
    repeats = winner["repeats"]
    if repeats["values"]:
        seeds = ", ".join(map(_score, repeats["values"]))
        facts.append((f"Validation {goal.headline} with other seeds", f"{_score(repeats['mean'])} ({seeds})"))
        facts.append(("Optimism: best of all minus their mean", _score(repeats["optimism"])))
    if winner["test"] is not None:
        facts.append((f"Test {goal.headline}", _score(winner["test"][goal.headline])))
        facts.append(("Winners that the test split was opened for", str(winner["tests_opened"])))
    rows = [(key, str(value)) for key, value in winner["values"].items()]
    note = (
        "The best of many is best by chance, too: the mean over other seeds is what to expect. Differences that are "
        "smaller than those between seeds mean nothing."
    )
    return Section("Winner", [Facts(facts), Facts(rows, "Its values")], note)


def _curves(trials: Sequence[FrozenTrial], best: int, goal: Goal) -> Section | None:
    figures = [
        (plots.curves(trials, best, goal.headline), f"Validation {goal.headline} by step; the winner in red."),
        (
            plots.best_until(trials, goal.falls, goal.headline),
            "Trials that came to their end, and the best until then.",
        ),
    ]
    blocks = [Figure(svg, caption) for svg, caption in figures if svg is not None]
    return Section("Curves", blocks) if blocks else None


def _what_mattered(
    search: SearchFolder, store: Store, trials: Sequence[FrozenTrial], best: int, goal: Goal
) -> Section | None:
    space = search.settings.space or {}
    blocks: list[Block] = []
    svg = plots.parallel(trials, best, space, goal.falls)
    if svg is not None:
        blocks.append(Figure(svg, "A line a trial; the better quarter in blue, the winner in red."))
    shares = importances(trials, store.directions)
    if shares:
        blocks.append(Figure(plots.bars(shares), "Importance by PED-ANOVA (Watanabe et al. 2023, arXiv:2304.10255)."))
    names = [(f"{place}", key) for place, key in enumerate(shares or space, 1)]
    if blocks:
        blocks.append(Facts(names, "Keys by number" + (", the most important first" if shares else "")))
    note = "" if shares else f"Importances are shown from {FEWEST} complete trials on."
    return Section("What mattered", blocks, note) if blocks else None


def importances(trials: Sequence[FrozenTrial], directions: Sequence[Direction]) -> dict[str, float]:
    """Key -> its share in what made the first objective good, the largest first; empty where trials are too few."""
    import optuna

    complete = [trial for trial in trials if trial.values]
    if len(complete) < FEWEST:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(directions=list(directions))
        study.add_trials(complete)
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        return optuna.importance.get_param_importances(study, evaluator=evaluator, target=lambda trial: trial.values[0])


def _front(search: SearchFolder, trials: Sequence[FrozenTrial], best: Sequence[int], goal: Goal) -> Section | None:
    names = [goal.headline if name == "headline" else name for name in search.settings.objectives]
    svg = plots.fronts(trials, best, names)
    if svg is None:
        return None
    by_number = {trial.number: trial for trial in trials}
    rows = [(str(number), *map(score_text, by_number[number].values)) for number in best]
    table = Table([("trial", "text"), *((name, "text") for name in names)], rows, "Trials that no other beats in all")
    note = "There is no single best trial. The winner above has the best headline figure; choose another by its values."
    return Section("Several objectives", [Figure(svg, "Latency in milliseconds, size in bytes."), table], note)


def _trials(search: SearchFolder, trials: Sequence[FrozenTrial], keys: Sequence[str], goal: Goal) -> Section:
    columns = [("trial", "text"), ("state", "text"), (goal.headline, "text"), ("steps", "text"), ("minutes", "text")]
    columns += [(key.rpartition(".")[2], "text") for key in keys] + [("why", "text")]
    return Section("All trials", [Table(columns, [_row(trial, keys) for trial in trials], visible=50)])


def _row(trial: FrozenTrial, keys: Sequence[str]) -> tuple[str, ...]:
    step = max(trial.intermediate_values, default=None)
    value = trial.values[0] if trial.values else trial.intermediate_values.get(step) if step is not None else None
    steps = trial.user_attrs.get(OUTCOME, {}).get("steps", step)
    minutes = f"{trial.duration.total_seconds() / 60:.1f}" if trial.duration else ""
    tried = trial.user_attrs.get(VALUES, {})
    return (
        str(trial.number),
        STATE[trial.state],
        "" if value is None else score_text(value),
        "" if steps is None else str(steps),
        minutes,
        *(str(tried.get(key, "")) for key in keys),
        trial.user_attrs.get(WHY, ""),
    )


def _score(value: float | None) -> str:
    return "unknown" if value is None else score_text(value)
