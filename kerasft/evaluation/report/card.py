"""`MODEL_CARD.md` in the form of the Hugging Face Hub, and the same as JSON: what is known of a model.

Mitchell et al. 2019, arXiv:1810.03993. No figure stands here that metrics.json or audit.json does not have; what only
a person can know reads so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from kerasft.config.schema import Config

CARD, CARD_JSON = "MODEL_CARD.md", "model_card.json"
AUDIT_FORM = 3  # of audit.json; one of another form is not read
TO_WRITE = "*To be written by the provider.*"
NOT_MEASURED = "not measured"
HUB_NAME = re.compile(r"[\w-]+/[\w.-]+")  # of a model there; other presets are named in the text alone
MOST_SLICES = 5
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
        "served_name": config.served_name,
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
    names = ("rows", "flipped", "right_before", "right_after")
    return {
        "split": audit["split"],
        "findings": audit["findings"],
        "changes": {
            change: {name: row[name] for name in names if name in row}
            for change, row in audit["robustness"].get("changes", {}).items()
            if row["rows"] and "flipped" in row
        },
        "exchange": {
            aspect: {"rows": row["rows"], "flipped": row["flipped"]}
            for aspect, row in audit["bias"].get("exchange", {}).items()
        },
        "slices": audit["slices"].get("slices", [])[:MOST_SLICES],
        "skipped": {part: audit[part]["skipped"] for part in parts if "skipped" in audit[part]},
    }


def model_card(facts: Mapping[str, Any]) -> str:
    """`card_facts` as Markdown, with the headings of the Hub's template and the front matter that the Hub reads."""
    return "\n\n".join([_front_matter([facts]), f"# Model Card for {facts['name']}", *_body(facts)]) + "\n"


def card_of_adapters(name: str, adapters: Mapping[str, Mapping[str, Any]]) -> str:
    """The card of an export with several adapters: a part for each, as its own card has it.

    Args:
        name: what the export is served as.
        adapters: name -> `card_facts` of its run.
    """
    parts = [_front_matter(list(adapters.values())), f"# Model Card for {name}"]
    parts.append(f"One base with {len(adapters)} adapters: {', '.join(adapters)}. Each was trained by itself.")
    for adapter, facts in adapters.items():
        parts.append(f"## Adapter {adapter}")
        parts += [f"#{part}" if part.startswith("#") else part for part in _body(facts)]
    return "\n\n".join(parts) + "\n"


def _body(facts: Mapping[str, Any]) -> list[str]:
    return [
        *_about(facts),
        "## Uses",
        f"For whom it is, and what it must not be used for: {TO_WRITE}",
        "## Bias, Risks, and Limitations",
        *_limits(facts),
        "## How to Get Started with the Model",
        f"`kerasft predict saved_models/{facts['served_name']} --input texts.txt`, or TensorFlow Serving.",
        "## Training Details",
        *_data(facts),
        "## Evaluation",
        *_figures(facts),
        "## Model Examination",
        *_audited(facts["audit"]),
        "## Environmental Impact",
        *_cost(facts),
        "## Model Card Contact",
        f"Licence, contact, and how it is watched in use: {TO_WRITE}",
    ]


def _front_matter(several: Sequence[Mapping[str, Any]]) -> str:
    content: dict[str, Any] = {"library_name": "keras", "tags": ["kerasft", "tensorflow"]}
    kinds = {facts["pipeline"] for facts in several}
    if len(kinds) == 1 and (kind := kinds.pop()):
        content["pipeline_tag"] = kind
    bases = sorted({facts["base_model"] for facts in several if HUB_NAME.fullmatch(facts["base_model"] or "")})
    if bases:
        content["base_model"] = bases if bases[1:] else bases[0]
    index = [{"name": facts["name"], "results": [result]} for facts in several if (result := _result(facts))]
    if index:
        content["model-index"] = index
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}---"


def _result(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    split = next((name for name in ("test", "validation") if name in facts["figures"]), None)
    figures = facts["figures"].get(split, {})
    values = [
        {"type": name, "name": name.replace("_", " "), "value": round(figures[name]["value"], 6)}
        for name in RESULTS
        if name in figures
    ]
    source = facts["data"].get(split)
    named = source if isinstance(source, str) else facts["name"]
    dataset = {"name": named.rstrip("/").rpartition("/")[2] or named, "type": "own", "split": split}
    return (
        {"task": {"type": facts["pipeline"] or facts["task"]}, "dataset": dataset, "metrics": values}
        if values
        else None
    )


def _lines(lines: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in lines.items() if value is not None)


def _about(facts: Mapping[str, Any]) -> Iterator[str]:
    lines = {
        "Task": f"`{facts['task']}`",
        "Starts from": f"`{facts['base_model']}`" if facts["base_model"] else "random weights",
        "Parameters": facts["parameters"],
        "Trained parameters": facts["trainable_parameters"],
        "Tokens of the longest text": facts["max_length"],
        "SHA-256 of the weights": facts["training"]["sha256"],
        "Versions": ", ".join(f"{name} {value}" for name, value in facts["versions"].items()) or None,
    }
    yield "## Model Details"
    yield _lines(lines)


def _cost(facts: Mapping[str, Any]) -> Iterator[str]:
    seconds = facts["training"]["seconds"]
    yield _lines({"Seconds of training": None if seconds is None else round(seconds, 1), "Energy": facts["energy"]})


def _data(facts: Mapping[str, Any]) -> Iterator[str]:
    rows = [f"- {split}: `{source}`" for split, source in facts["data"].items() if source is not None]
    rows += [f"- SHA-256 of {split}: `{digest}`" for split, digest in facts["data_sha256"].items()]
    if facts["cleaning"]:
        rows.append("- rows were taken out before training: cleaning.json of the run")
    yield "### Training Data"
    yield "\n".join(rows)
    yield f"Where the data comes from, whose it is and what people were told: {TO_WRITE}"
    yield "### Training Procedure"
    yield _lines({"Steps": facts["training"]["steps"], "Seed": facts["seed"]})


def _figures(facts: Mapping[str, Any]) -> Iterator[str]:
    lines = ["| split | metric | value | interval |", "| --- | --- | --- | --- |"]
    for split, figures in facts["figures"].items():
        for name, row in figures.items():
            bounds = f"{row['low']:.4f} to {row['high']:.4f} ({row['level']:.0%})" if "low" in row else ""
            lines.append(f"| {split} | {name} | {row['value']:.4f} | {bounds} |")
    yield "### Results"
    yield "\n".join(lines)


def _limits(facts: Mapping[str, Any]) -> Iterator[str]:
    audit, found = facts["audit"], list(facts["warnings"])
    found += audit["findings"] if audit else []
    if found:
        yield "\n".join(f"- {sentence}" for sentence in found)
    yield f"Who may be harmed: {TO_WRITE}"


def _audited(audit: Mapping[str, Any] | None) -> Iterator[str]:
    if audit is None:
        yield "Not measured; `kerasft audit` does."
        return
    yield f"Robustness, slices and bias by `kerasft audit`, on rows of {audit['split']}."
    lines = ["| change | rows | answers changed | right before | after |", "| --- | --- | --- | --- | --- |"]
    for name, row in audit["changes"].items():
        right = f"{row['right_before']:.3f} | {row['right_after']:.3f}"
        lines.append(f"| {name} | {row['rows']} | {_share(row['flipped'])} | {right} |")
    if audit["changes"]:
        yield "\n".join(lines)
    lines = ["| slice | rows | right | right elsewhere |", "| --- | --- | --- | --- |"]
    for row in audit["slices"]:
        what = f"{row['kind']}: {row['name']}"
        lines.append(f"| {what} | {row['right']['rows']} | {_share(row['right'])} | {row['rest']:.3f} |")
    if audit["slices"]:
        yield "\n".join(lines)
    for aspect, row in audit["exchange"].items():
        yield f"Words of {aspect} exchanged in {row['rows']} texts: {_share(row['flipped'])} of the answers change."
    if audit["skipped"]:
        yield "\n".join(f"- {part}: not measured, {reason}" for part, reason in audit["skipped"].items())


def _share(figure: Mapping[str, Any]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"
