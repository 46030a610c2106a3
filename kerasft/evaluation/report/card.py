"""`MODEL_CARD.md` in the form of the Hugging Face Hub, and the same as JSON: what is known of a model.

Mitchell et al. 2019, arXiv:1810.03993. No figure stands here that metrics.json or audit.json does not have; what only
a person can know reads so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from kerasft.config.schema import Config

CARD, CARD_JSON = "MODEL_CARD.md", "model_card.json"
TO_WRITE = "*To be written by the provider.*"
NOT_MEASURED = "not measured"
RESULTS = ("accuracy", "f1", "macro_f1", "pearson", "mrr", "perplexity")  # of the front matter, where there are such


def card_facts(
    config: Config,
    pipeline: str | None,
    files: Mapping[str, Any],
    audit: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a card tells, JSON-able.

    Args:
        config: of the run.
        pipeline: what Hugging Face calls such models; None: it has no name for them.
        files: `metrics`, `data` and `cleaning` as the run's files of these names hold them; None where there is none.
        audit: what audit.json holds; None: there was no audit.
    """
    metrics = files.get("metrics") or {}
    training, model = metrics.get("training", {}), metrics.get("model", {})
    splits = [split for split in ("validation", "test") if split in metrics]
    return {
        "name": config.name,
        "task": config.task.name,
        "pipeline": pipeline,
        "base_model": config.model.preset,
        "max_length": config.model.max_length,
        "seed": config.seed,
        "parameters": model.get("parameters"),
        "trainable_parameters": model.get("trainable_parameters"),
        "training": {name: training.get(name) for name in ("steps", "seconds", "sha256")},
        "energy": NOT_MEASURED,
        "versions": metrics.get("versions", {}),
        "data": {split: getattr(config.data, split) for split in ("train", "validation", "test")},
        "data_sha256": files.get("data") or {},
        "cleaning": files.get("cleaning"),
        "figures": {split: _figures_of(metrics[split]) for split in splits},
        "warnings": list(metrics.get("warnings", ())),
        "audit": None if audit is None else _audit_of(audit),
    }


def _figures_of(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Metric -> value, and low and high where an interval is known."""
    found: dict[str, Any] = {name: {"value": value} for name, value in scores.items() if isinstance(value, float)}
    interval = scores.get("interval") or {}
    if interval.get("metric") in found and interval.get("low") is not None:
        found[interval["metric"]] |= {name: interval[name] for name in ("low", "high", "level")}
    return found


def _audit_of(audit: Mapping[str, Any]) -> dict[str, Any]:
    """Of an audit what fits on a card: sentences, changes, and what was not measured."""
    parts = ("robustness", "slices", "calibration", "faithfulness", "shortcuts", "attacks", "bias")
    names = ("rows", "flipped", "accuracy_before", "accuracy_after")
    return {
        "split": audit["split"],
        "findings": audit["findings"],
        "changes": {
            change: {name: row[name] for name in names if name in row}
            for change, row in audit["robustness"].get("changes", {}).items()
            if row["rows"]
        },
        "exchange": {
            aspect: {"rows": row["rows"], "flipped": row["flipped"]}
            for aspect, row in audit["bias"].get("exchange", {}).items()
        },
        "skipped": {part: audit[part]["skipped"] for part in parts if "skipped" in audit[part]},
    }


def model_card(facts: Mapping[str, Any]) -> str:
    """`card_facts` as Markdown with the front matter that the Hub reads."""
    parts = [
        _front_matter(facts),
        f"# {facts['name']}",
        *_about(facts),
        *_data(facts),
        *_figures(facts),
        *_audited(facts["audit"]),
        "## Intended use, limits and people who may be harmed",
        TO_WRITE,
        "## Contact, licence and how it is watched in use",
        TO_WRITE,
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(facts: Mapping[str, Any]) -> str:
    split = next((name for name in ("test", "validation") if name in facts["figures"]), None)
    figures = facts["figures"].get(split, {})
    kind = facts["pipeline"] or facts["task"]
    values = [{"type": name, "value": round(figures[name]["value"], 6)} for name in RESULTS if name in figures]
    dataset = {"name": facts["name"], "type": "own", "split": split}
    content: dict[str, Any] = {"library_name": "keras", "tags": ["kerasft", "tensorflow"]}
    if facts["pipeline"]:
        content["pipeline_tag"] = facts["pipeline"]
    if facts["base_model"]:
        content["base_model"] = facts["base_model"]
    if values:
        result = {"task": {"type": kind}, "dataset": dataset, "metrics": values}
        content["model-index"] = [{"name": facts["name"], "results": [result]}]
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}---"


def _about(facts: Mapping[str, Any]) -> Iterator[str]:
    training = facts["training"]
    lines = {
        "Task": f"`{facts['task']}`",
        "Starts from": f"`{facts['base_model']}`" if facts["base_model"] else "random weights",
        "Parameters": facts["parameters"],
        "Trained parameters": facts["trainable_parameters"],
        "Tokens of the longest text": facts["max_length"],
        "Steps": training["steps"],
        "Seconds of training": None if training["seconds"] is None else round(training["seconds"], 1),
        "SHA-256 of the weights": training["sha256"],
        "Seed": facts["seed"],
        "Versions": ", ".join(f"{name} {value}" for name, value in facts["versions"].items()) or None,
        "Energy": facts["energy"],
    }
    yield "## What it is"
    yield "\n".join(f"- {name}: {value}" for name, value in lines.items() if value is not None)


def _data(facts: Mapping[str, Any]) -> Iterator[str]:
    rows = [f"- {split}: `{source}`" for split, source in facts["data"].items() if source is not None]
    rows += [f"- SHA-256 of {split}: `{digest}`" for split, digest in facts["data_sha256"].items()]
    if facts["cleaning"]:
        rows.append("- rows were taken out before training: cleaning.json of the run")
    yield "## Data"
    yield "\n".join(rows)
    yield f"Where the data comes from, whose it is and what people were told: {TO_WRITE}"


def _figures(facts: Mapping[str, Any]) -> Iterator[str]:
    lines = ["| split | metric | value | interval |", "| --- | --- | --- | --- |"]
    for split, figures in facts["figures"].items():
        for name, row in figures.items():
            bounds = f"{row['low']:.4f} to {row['high']:.4f} ({row['level']:.0%})" if "low" in row else ""
            lines.append(f"| {split} | {name} | {row['value']:.4f} | {bounds} |")
    yield "## Figures"
    yield "\n".join(lines)
    for warning in facts["warnings"]:
        yield f"> {warning}"


def _audited(audit: Mapping[str, Any] | None) -> Iterator[str]:
    yield "## Robustness, bias and explanations"
    if audit is None:
        yield "Not measured; `kerasft audit` does."
        return
    yield f"By `kerasft audit`, on rows of {audit['split']}."
    if audit["findings"]:
        yield "\n".join(f"- {sentence}" for sentence in audit["findings"])
    lines = ["| change | rows | answers changed | right before | after |", "| --- | --- | --- | --- | --- |"]
    for name, row in audit["changes"].items():
        right = f"{row['accuracy_before']:.3f} | {row['accuracy_after']:.3f}"
        lines.append(f"| {name} | {row['rows']} | {_share(row['flipped'])} | {right} |")
    if audit["changes"]:
        yield "\n".join(lines)
    for aspect, row in audit["exchange"].items():
        yield f"Words of {aspect} exchanged in {row['rows']} texts: {_share(row['flipped'])} of the answers change."
    if audit["skipped"]:
        yield "\n".join(f"- {part}: not measured, {reason}" for part, reason in audit["skipped"].items())


def _share(figure: Mapping[str, Any]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"
