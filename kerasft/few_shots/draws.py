"""`data.draws`: the same training from several draws of shots, and the figures of all of them together.

One draw of eight rows says little: the next one may be three points better or worse. The run of draw 0 is the run, with
its model and its export; the others are runs below `runs/NAME.draws/`, which a resumed command does not repeat.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kerasft.augmentation_texts import make_texts
from kerasft.config.differences import check_same_config
from kerasft.config.load import load_config
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.models.presets.positions import fit_max_length
from kerasft.runs import Run
from kerasft.session import Existing, Outcome, train_run

SPLITS = ("validation", "test")


def train_draws(
    config: Config, *, existing: Existing = "refuse", terminal: Terminal | None = None, **options: Any
) -> Outcome:
    """`train_run` of each draw of a config.

    Args:
        config: `data.draws` says how many there are.
        existing: what becomes of runs of these names.
        terminal: shows progress and results; None: stderr and stdout.
        options: `start`, `actions` and `objective` of `train_run`; each draw reads its own tables.

    Returns:
        The run of the first draw, whose metrics.json has the means over all draws: each figure of validation and test
        that is a number, and beside it, for the metric that chooses weights, `NAME_by_draw` and `NAME_deviation`.

    Raises:
        UserError: see `train_run`.
    """
    terminal, draws = terminal or Terminal(), config.data.draws
    main = with_sections(config, data={"draws": 1, "draw": 0})
    trained = trained_before(main, existing)
    if trained is None:  # refused before others are trained
        Run.plan(main, overwrite=existing == "overwrite", resume=existing == "resume")
    others = [trained_draw(config, draw, existing, terminal, options) for draw in range(1, draws)]
    terminal.line(f"data.draws: draw 0 of {draws}")
    outcome = trained
    if outcome is None:
        make_texts(main, options.get("tables"), terminal, keep=existing == "resume")
        outcome = train_run(main, existing=existing, terminal=terminal, **options)
    metrics = with_means(outcome.metrics, [outcome.metrics, *others])
    outcome.run.write_json("metrics.json", metrics)
    for split in SPLITS:
        for line in summary(split, metrics.get(split, {})):
            terminal.result(line)
    return replace(outcome, metrics=metrics)


def trained_before(main: Config, existing: Existing) -> Outcome | None:
    """The run of the first draw, where a command that goes on finds it finished and without the means over all."""
    run = Run(Path(main.output.dir) / main.name, fit_max_length(main))
    if existing != "resume" or not (run.folder / "finished.json").is_file():
        return None
    metrics = run.load_json("metrics.json")
    if "draws" in metrics:
        return None
    check_same_config(load_config(run.folder / "config.yaml", []).model_dump(mode="json"), run.config, run.folder)
    return Outcome(run, metrics, run.folder / "model", None)


def trained_draw(
    config: Config, draw: int, existing: Existing, terminal: Terminal, options: Mapping[str, Any]
) -> dict[str, Any]:
    """The metrics of one draw beyond the first; of one that is finished, where the command goes on, those it wrote."""
    folder = Path(config.output.dir) / f"{config.name}.draws"
    child = with_sections(
        config,
        name=f"draw-{draw}",
        data={"draws": 1, "draw": draw},
        output={"dir": str(folder)},
        export={"enabled": False},
    )
    terminal.line(f"data.draws: draw {draw} of {config.data.draws}, {folder / child.name}")
    run = Run(folder / child.name, fit_max_length(child))
    if existing == "resume" and (run.folder / "finished.json").is_file():
        begun = load_config(run.folder / "config.yaml", []).model_dump(mode="json")
        check_same_config(begun, run.config, run.folder)
        return run.load_json("metrics.json")
    make_texts(child, options.get("tables"), terminal, keep=existing == "resume")  # other rows, so a file of its own
    return train_run(child, existing=existing, terminal=terminal, **options).metrics


def with_sections(config: Config, name: str | None = None, **sections: Mapping[str, Any]) -> Config:
    """A config with another name and other keys of some sections."""
    values = config.model_dump(mode="python")
    for section, keys in sections.items():
        values[section] |= keys
    return Config.model_validate(values | ({"name": name} if name else {}))


def with_means(metrics: Mapping[str, Any], draws: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Metrics of the first draw with the means over all of them.

    Args:
        metrics: of the first draw; what is no number of a split, such as figures of each label, stays.
        draws: metrics of every draw, the first among them.
    """
    means: dict[str, Any] = {**metrics, "draws": len(draws)}
    for split in SPLITS:
        if split not in metrics:
            continue
        numbers = {name: value for name, value in metrics[split].items() if is_number(value)}
        figures = {name: [draw[split][name] for draw in draws if is_number(draw[split].get(name))] for name in numbers}
        means[split] = dict(metrics[split]) | {name: statistics.fmean(values) for name, values in figures.items()}
        headline = metrics[split].get("interval", {}).get("metric", "accuracy")
        if headline in figures:
            values = figures[headline]
            means[split] |= {f"{headline}_by_draw": values, f"{headline}_deviation": statistics.pstdev(values)}
    return means


def is_number(value: Any) -> bool:
    """Whether a figure can be averaged."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def summary(split: str, figures: Mapping[str, Any]) -> list[str]:
    """A line for each figure of a split that is known by draw."""
    names = [name.removesuffix("_by_draw") for name in figures if name.endswith("_by_draw")]
    return [
        f"{split} {name}: {figures[name]:.4f}, mean of {len(figures[f'{name}_by_draw'])} draws; standard deviation "
        f"{figures[f'{name}_deviation']:.4f} ({', '.join(f'{value:.4f}' for value in figures[f'{name}_by_draw'])})"
        for name in names
    ]
