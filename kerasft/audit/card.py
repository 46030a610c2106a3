"""`MODEL_CARD.md` in the form of the Hugging Face Hub: what is known of a model, from its run and its audit.

Mitchell et al. 2019, arXiv:1810.03993. No figure stands here that metrics.json or audit.json does not have; what only
a person can know reads so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from kerasft.runs import Run

TO_WRITE = "*To be written by the provider.*"
PIPELINES = {
    "text_classification": "text-classification",
    "relation_extraction": "text-classification",
    "token_classification": "token-classification",
    "question_answering": "question-answering",
    "text_embedding": "sentence-similarity",
    "masked_lm": "fill-mask",
    "text_generation": "text-generation",
    "seq2seq": "text2text-generation",
}


def model_card(run: Run, audit: Mapping[str, Any] | None = None) -> str:
    """The card of a run as Markdown.

    Args:
        run: whose training has ended.
        audit: what audit.json holds; None: there was none, and the card says how to make one.
    """
    metrics = run.load_json("metrics.json") or {}
    parts = [
        _front_matter(run, metrics),
        f"# {run.config.name}",
        *_about(run, metrics),
        *_data(run),
        *_figures(metrics),
        *(_audited(audit) if audit else ["## Robustness, bias and explanations", "Not measured: `kerasft audit`."]),
        "## Intended use, limits and people who may be harmed",
        TO_WRITE,
        "## Contact, licence and how it is watched in use",
        TO_WRITE,
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(run: Run, metrics: Mapping[str, Any]) -> str:
    config, split = run.config, "test" if "test" in metrics else "validation"
    scores = metrics.get(split, {})
    names = [name for name in ("accuracy", "f1", "macro_f1", "pearson", "perplexity") if scores.get(name) is not None]
    result = {
        "task": {"type": PIPELINES.get(config.task.name, config.task.name)},
        "dataset": {"name": config.name, "type": "own", "split": split},
        "metrics": [{"type": name, "value": round(scores[name], 6)} for name in names],
    }
    facts = {
        "library_name": "keras",
        "pipeline_tag": PIPELINES.get(config.task.name, config.task.name),
        "tags": ["kerasft", "tensorflow"],
        **({"base_model": config.model.preset} if config.model.preset else {}),
        "model-index": [{"name": config.name, "results": [result]}],
    }
    return f"---\n{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)}---"


def _about(run: Run, metrics: Mapping[str, Any]) -> Iterator[str]:
    config, training, model = run.config, metrics.get("training", {}), metrics.get("model", {})
    facts = {
        "Task": f"`{config.task.name}`",
        "Starts from": f"`{config.model.preset}`" if config.model.preset else "random weights",
        "Parameters": model.get("parameters"),
        "Trained parameters": model.get("trainable_parameters"),
        "Tokens of the longest text": config.model.max_length,
        "Steps": training.get("steps"),
        "Seconds of training": round(training["seconds"], 1) if training.get("seconds") is not None else None,
        "SHA-256 of the weights": training.get("sha256"),
        "Seed": config.seed,
        "Versions": ", ".join(f"{name} {value}" for name, value in metrics.get("versions", {}).items()) or None,
        "Energy": "not measured",
    }
    yield "## What it is"
    yield "\n".join(f"- {name}: {value}" for name, value in facts.items() if value is not None)


def _data(run: Run) -> Iterator[str]:
    data, cleaning = run.config.data, run.load_json("cleaning.json")
    rows = [f"- {split}: `{getattr(data, split)}`" for split in ("train", "validation", "test")]
    digests = [f"- SHA-256 of {split}: `{digest}`" for split, digest in (run.load_json("data.json") or {}).items()]
    yield "## Data"
    yield "\n".join([*rows, *digests, *(["- rows were taken out before training: cleaning.json"] if cleaning else [])])
    yield f"Where the data comes from, whose it is and what people were told: {TO_WRITE}"


def _figures(metrics: Mapping[str, Any]) -> Iterator[str]:
    yield "## Figures"
    lines = ["| split | metric | value | 95 % interval |", "| --- | --- | --- | --- |"]
    for split in ("validation", "test"):
        scores = metrics.get(split, {})
        interval = scores.get("interval") or {}
        for name, value in scores.items():
            if isinstance(value, float):
                of_this = interval.get("metric") == name and interval.get("low") is not None
                bounds = f"{interval['low']:.4f} to {interval['high']:.4f}" if of_this else ""
                lines.append(f"| {split} | {name} | {value:.4f} | {bounds} |")
    yield "\n".join(lines)
    for warning in metrics.get("warnings", ()):
        yield f"> {warning}"


def _audited(audit: Mapping[str, Any]) -> Iterator[str]:
    yield "## Robustness, bias and explanations"
    yield f"From `audit.json`, on rows of {audit['split']}."
    if audit["findings"]:
        yield "\n".join(f"- {sentence}" for sentence in audit["findings"])
    changes = audit["robustness"].get("changes", {})
    lines = ["| change | rows | answers changed | accuracy before | after |", "| --- | --- | --- | --- | --- |"]
    for name, row in changes.items():
        if row["rows"]:
            flipped = row["flipped"]
            share = f"{flipped['value']:.3f} ({flipped['low']:.3f} to {flipped['high']:.3f})"
            before, after = row["accuracy_before"], row["accuracy_after"]
            lines.append(f"| {name} | {row['rows']} | {share} | {before:.3f} | {after:.3f} |")
    if changes:
        yield "\n".join(lines)
    for title, part in (("Slices", "slices"), ("Bias", "bias"), ("Explanations", "faithfulness")):
        if "skipped" in audit[part]:
            yield f"{title}: not measured, {audit[part]['skipped']}."
    for aspect, row in audit["bias"].get("exchange", {}).items():
        flipped = row["flipped"]
        yield (
            f"Words of {aspect} exchanged in {row['rows']} texts: {flipped['value']:.3f} of the answers change "
            f"({flipped['low']:.3f} to {flipped['high']:.3f})."
        )
