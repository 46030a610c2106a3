"""A greedy soup: the mean of the weights of runs that began alike (Wortsman et al. 2022, arXiv:2203.05482).

Runs begin alike where preset, task and seed are the same: then the head is drawn alike, too, and their weights lie in
one valley. Weights of other seeds can't be averaged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from kerasft.assembly import load_model
from kerasft.config.averaging import SoupConfig
from kerasft.config.schema import Config
from kerasft.data.tables.digests import fingerprints
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.evaluation.evaluate import Evaluator
from kerasft.runs import Run
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task
from kerasft.training.checkpoints.best import BestRule
from kerasft.training.plan import TrainingPlan
from kerasft.training.selection import Selection
from kerasft.training.split_loss import split_loss

Weights = list[np.ndarray]
ALIKE = ("task", "model", "seed")  # sections of a config


class Validated(Protocol):
    """Weights that are in the model -> value and loss of validation, and the task's state that was chosen for them."""

    def __call__(self) -> tuple[float | None, float | None, dict[str, Any]]: ...


@dataclass(frozen=True)
class Ingredient:
    """The best weights of a run.

    Attributes:
        name: of its folder.
        weights: in the model's order.
    """

    name: str
    weights: Weights


def check_runs(config: Config, tables: Mapping[str, Table]) -> list[Run]:
    """The finished runs of a config's soup; none where it has no soup.

    Raises:
        UserError: one is none, did not begin as this run does, or learnt from other rows.
    """
    runs, mine, rows = [], config.model_dump(mode="json"), fingerprints(tables)
    averaging = config.training.averaging
    for folder in averaging.runs if isinstance(averaging, SoupConfig) else ():
        run = Run.open(Path(folder))
        key = f"training.averaging.runs: {folder}"
        theirs = run.config.model_dump(mode="json")
        if run.config.model.peft is not None:
            raise UserError(f"{key}: it trained adapters, and a soup averages whole weights; name other runs")
        for section in ALIKE:
            if theirs[section] != mine[section]:
                raise UserError(f"{key}: its {section} is another, so it did not begin alike; name runs with the same")
        other = run.load_json("data.json") or {}
        changed = [split for split in ("train", "validation") if other.get(split) != rows.get(split)]
        if changed:
            raise UserError(f"{key}: its data.{changed[0]} has other rows; name runs on the same data")
        runs.append(run)
    return runs


def weights_of(model: keras.Model) -> Weights:
    """Copies of a model's weights."""
    return [np.array(keras.ops.convert_to_numpy(weight)) for weight in model.weights]


def load_ingredient(run: Run, task: Task, model: keras.Model) -> Ingredient:
    """The weights of a finished run, in the order of a model of the same form.

    Raises:
        UserError: the model has another form.
    """
    other = load_model(run.folder / "model", create_task(task.config, run.load_state())).model
    shapes = [[tuple(weight.shape) for weight in each.weights] for each in (model, other)]
    if shapes[0] != shapes[1]:
        raise UserError(
            f"training.averaging.runs: {run.folder}: its weights have other shapes; name runs of this model"
        )
    return Ingredient(str(run.folder), weights_of(other))


def greedy_soup(
    model: keras.Model, ingredients: Sequence[Ingredient], validated: Validated, rule: BestRule
) -> dict[str, Any]:
    """Leaves the model with the soup's weights.

    The ingredients are tried from the best to the worst; one stays if the mean with it has a value that is not worse.

    Args:
        model: of which the ingredients are.
        ingredients: the run's own among them.
        validated: measures the model as it is.
        rule: what best weights are chosen by.

    Returns:
        `runs` that are in it, runs `left_out`, each one's `values`, and `value`, `loss` and `state` of the soup.
    """
    figures: list[tuple[Ingredient, dict[str, Any]]] = []
    for each in ingredients:
        _assign(model, each.weights)
        value, loss, state = validated()
        figures.append((each, {"value": value, "loss": loss, "state": state}))
    ordered: list[tuple[Ingredient, dict[str, Any]]] = []
    for each in figures:  # by the rule, which no sort key can say: a better one goes before those that it beats
        place = next(
            (i for i, (_, other) in enumerate(ordered) if rule.is_best(each[1]["value"], each[1]["loss"], other)),
            len(ordered),
        )
        ordered.insert(place, each)
    kept, best = [ordered[0][0]], ordered[0][1]
    for each, _ in ordered[1:]:
        _assign(model, _mean([*kept, each]))
        value, loss, state = validated()
        if value == best["value"] or rule.is_best(value, loss, best):
            kept, best = [*kept, each], {"value": value, "loss": loss, "state": state}
    _assign(model, _mean(kept))
    names = [each.name for each in kept]
    return {
        "runs": names,
        "left_out": [each.name for each, _ in ordered[1:] if each.name not in names],
        "values": {each.name: figure["value"] for each, figure in figures},
        **best,
    }


def make_soup(plan: TrainingPlan, evaluator: Evaluator, selection: Selection) -> dict[str, Any]:
    """The mean of a run's best weights, which its model has, with those of `plan.soup`; `task.state` goes with it.

    Returns:
        What `metrics.json` says of it, under `soup`; nothing where the run has no soup.
    """
    if not plan.soup:
        return {}
    model, task, validation = plan.model, plan.task, plan.validation
    own = Ingredient(str(plan.folder), weights_of(model))
    others = [load_ingredient(run, task, model) for run in plan.soup]

    def validated() -> tuple[float | None, float | None, dict[str, Any]]:
        logits = evaluator.logits(validation)
        task.tune(validation, logits)
        metrics = task.metrics(validation, logits)
        return metrics[selection.metric], split_loss(task, validation, logits, metrics), dict(task.state)

    soup = greedy_soup(model, [own, *others], validated, selection.rule)
    task.state.update(soup.pop("state"))
    told = f"{len(soup['runs'])} of {1 + len(others)} runs, {selection.metric} {soup['value']}"
    plan.terminal.line(f"soup: {told}")
    return {"soup": soup}


def _mean(ingredients: Sequence[Ingredient]) -> Weights:
    """In float64, so that the mean of equal weights is those weights."""
    columns = zip(*(each.weights for each in ingredients))
    return [np.mean(np.stack(column), axis=0, dtype=np.float64).astype(column[0].dtype) for column in columns]


def _assign(model: keras.Model, weights: Weights) -> None:
    for variable, value in zip(model.weights, weights):
        variable.assign(value)
