"""Figures of an audit -> sections of its page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kerasft.evaluation.report import plots
from kerasft.evaluation.report.blocks import Facts, Figure, Section, Table, Words
from kerasft.evaluation.report.labels import percent, score

Figures = dict[str, Any]


def _named(name: str) -> str:
    return name.replace("_", " ")


def _range(figure: Figures | None, form: Callable[[float | None], str] = score) -> str:
    if figure is None or figure["value"] is None:
        return "–"
    return f"{form(figure['value'])} ({form(figure['low'])} to {form(figure['high'])})"


def _skipped(title: str, part: Figures) -> Iterator[Section]:
    yield Section(title, [], f"Not measured: {part['skipped']}.")


def robustness(found: Figures) -> Iterator[Section]:
    part = found["robustness"]
    if "skipped" in part:
        yield from _skipped("Robustness", part)
        return
    columns = [("change", "text"), ("what", "text"), ("must", "text"), ("rows", "count"), ("answers changed", "text")]
    columns += [("accuracy before", "score"), ("after", "score"), ("difference", "text"), ("p", "text")]
    rows = [
        (
            _named(name), row["what"], row["expected"] if row["expected"] == "stay" else "–", row["rows"],
            _range(row.get("flipped"), percent), row.get("accuracy_before"), row.get("accuracy_after"),
            _range(row.get("change")), f"{row['p']:.2g}" if "p" in row else "–",
        )
        for name, row in part["changes"].items()
    ]  # fmt: skip
    examples = [
        (_named(name), each["text"], each["changed"], f"{each['before']} → {each['after']}")
        for name, row in part["changes"].items()
        for each in row.get("examples", ())[:1]
    ]
    shown = [("change", "text"), ("text", "text"), ("changed", "text"), ("answer", "text")]
    note = (
        "Only rows whose text changes are counted. Where answers must stay, each one that changes is a fault. p is "
        "McNemar's, exact, for one change alone. An uncased tokenizer passes every change of case."
    )
    blocks = [Table(columns, rows)]
    yield Section("Robustness", [*blocks, Table(shown, examples, "An answer that changed, of each")], note)


def slices(found: Figures) -> Iterator[Section]:
    part = found["slices"]
    if "skipped" in part:
        yield from _skipped("Worst slices", part)
        return
    columns = [("by", "text"), ("slice", "text"), ("rows", "count"), ("accuracy", "text"), ("rest", "score")]
    columns += [("p", "text"), ("p, corrected", "text")]
    rows = [
        (
            row["kind"], row["name"], row["accuracy"]["rows"], _range(row["accuracy"]), row["rest"],
            f"{row['p']:.2g}", f"{row['p_adjusted']:.2g}",
        )
        for row in part["slices"]
    ]  # fmt: skip
    note = (
        f"Accuracy {_range(part['accuracy'])}. {part['compared']} slices were compared with the rest (Fisher's exact "
        f"test, Holm's correction); {part['worse']} are worse with all comparisons in view."
    )
    yield Section("Worst slices", [Table(columns, rows, visible=10)], note)


def calibration(found: Figures) -> Iterator[Section]:
    part = found["calibration"]
    if "skipped" in part:
        yield from _skipped("Calibration", part)
        return
    temperature = part["temperature"]
    facts = [
        ("Calibration error", f"{score(part['expected_calibration_error'])} on {part['rows']:,} rows"),
        ("Mean confidence", score(part["mean_confidence"])),
        ("Accuracy", _range(part["accuracy"])),
        ("Temperature", "none" if temperature is None else score(temperature)),
    ]
    blocks: list[Any] = [Facts(facts)]
    svg = plots.reliability_diagram(part["reliability"])
    if svg is not None:
        blocks.insert(0, Figure(svg, "How often it is right, by how sure it is. With few rows the error looks larger."))
    unknown = part.get("unknown_texts")
    if unknown:
        columns = [("score", "text"), ("AUROC", "bar"), ("known rejected", "percent"), ("unknown caught", "percent")]
        columns.append(("threshold", "score"))
        rows = [
            (_named(name), row["auroc"], row["rejected"], row["caught"], row["threshold"])
            for name, row in unknown["scores"].items()
        ]
        blocks.append(Table(columns, rows, f"Unknown texts: {unknown['unknown']} ({unknown['source']})"))
    yield Section("Calibration and unknown texts", blocks, "Is it right as often as it is sure?")


def faithfulness(found: Figures) -> Iterator[Section]:
    part = found["faithfulness"]
    if "skipped" in part:
        yield from _skipped("Explanations", part)
        return
    mosaics = part["mosaics"] or {"pairs": 0, "methods": {}}
    columns = [("method", "text"), ("comprehensiveness", "text"), ("sufficiency", "text"), ("mosaics", "text")]
    columns += [("gap, median", "percent"), ("gap, 95 %", "percent"), ("seconds a text", "score")]
    rows = [
        (
            _named(name), _range(row.get("comprehensiveness")), _range(row.get("sufficiency")),
            _range(mosaics["methods"].get(name)), row.get("gap_median"), row.get("gap_95"), row.get("seconds"),
        )
        for name, row in part["methods"].items()
    ]  # fmt: skip
    note = (
        "Comprehensiveness: what the answer's logit loses as words are hidden in a method's order, 0 to 1 between the "
        "worst and the best order that a beam search finds; more is better. Sufficiency: what it lacks where only the "
        f"first words are left; less is better. On {part['measured']} texts. Mosaics: the share of positive "
        f"attribution in the right half of two joined texts ({mosaics['pairs']} pairs); by chance 0.5."
    )
    texts = [
        (
            f"{row['label']} · logit {row['value']:.2f}, without the words {row['baseline']:.2f} · "
            f"gap {row['completeness_gap']:.2%}",
            [(word["text"], word["score"]) for word in row["words"]],
        )
        for row in part["examples"]
    ]
    blocks = [Table(columns, rows), Words(texts, "What each word adds to the logit, by integrated gradients")]
    yield Section("Explanations, and whether they are true", blocks, note)


def shortcuts(found: Figures) -> Iterator[Section]:
    part = found["shortcuts"]
    if "skipped" in part:
        yield from _skipped("Words that answers hang on", part)
        return
    columns = [("label", "text"), ("word", "text"), ("answers that change without it", "bar"), ("logit lost", "score")]
    columns.append(("texts with it", "count"))
    rows = [(row["label"], row["word"], row["flips"], row["drop"], row["texts"]) for row in part["shortcuts"]]
    every = [
        (label, ", ".join(f"{row['word']} ({row['drop']:+.1f})" for row in each["words"]), each["texts"])
        for label, each in sorted(part["labels"].items())
    ]
    own = Table([("label", "text"), ("words", "text"), ("texts", "count")], every, "Each label's words", visible=15)
    note = "A word without which more than 20 % of a label's answers change. It may be the reason, or a shortcut."
    yield Section("Words that answers hang on", [Table(columns, rows, visible=15), own], note)


def attacks(found: Figures) -> Iterator[Section]:
    part = found["attacks"]
    if "skipped" in part:
        yield from _skipped("Searched changes", part)
        return
    columns = [("changes of", "text"), ("answers changed", "text"), ("words changed", "percent"), ("queries", "count")]
    rows = [
        (kind, _range(row["changed"], percent), row["words_changed"], row["queries"])
        for kind, row in part["kinds"].items()
    ]
    examples = [
        (kind, row["text"], row["changed"], f"{row['before']} → {row['after']}")
        for kind, each in part["kinds"].items()
        for row in each["examples"][:4]
    ]
    shown = [("changes of", "text"), ("text", "text"), ("changed", "text"), ("answer", "text")]
    budget = next(iter(part["kinds"].values()))["budget"]
    note = (
        f"On rows that are answered rightly, with at most {budget} queries a text and half of the words. Characters: "
        "one letter of a word is wrong. Words: others that the model's own vectors take for near; negations and "
        "numbers stay. Many such substitutions change the meaning: look at the pairs before the rate."
    )
    yield Section("Searched changes", [Table(columns, rows), Table(shown, examples, "Pairs to look at")], note)


def bias(found: Figures) -> Iterator[Section]:
    part = found["bias"]
    if "skipped" in part:
        yield from _skipped("Groups of people", part)
        return
    blocks: list[Any] = []
    for name, row in part["groups"].items():
        columns = [("group", "text"), ("rows", "count"), ("accuracy", "text")]
        groups = [(group, each["rows"], _range(each["accuracy"])) for group, each in row["groups"].items()]
        blocks.append(Table(columns, groups, f"By {name}", wide=False))
        gaps = [(_named(gap), f"{_range(each)}, label {each['label']}") for gap, each in row["gaps"].items()]
        small = f"fewer than 50 rows: {', '.join(row['small'])}" if row["small"] else "every group has 50 rows"
        blocks.append(Facts(gaps or [("no differences are told", small)], "Largest difference of any label"))
    rows = [
        (aspect, each["rows"], _range(each["flipped"], percent), each["mean_change"])
        for aspect, each in part["exchange"].items()
    ]
    columns = [("words of", "text"), ("texts", "count"), ("answers changed", "text"), ("mean change of score", "score")]
    if rows:
        blocks.append(Table(columns, rows, "Words of one group exchanged for those of another"))
    examples = [
        (aspect, row["text"], row["changed"], f"{row['before']} → {row['after']}")
        for aspect, each in part["exchange"].items()
        for row in each["examples"][:3]
    ]
    if examples:
        shown = [("words of", "text"), ("text", "text"), ("changed", "text"), ("answer", "text")]
        blocks.append(Table(shown, examples, "Answers that changed"))
    note = (
        "Rates differ where groups differ, too: a difference is a question, not a verdict. Groups by word lists are of "
        "texts that mention one group alone; exchanged sentences may be odd. Thresholds of their own for groups may be "
        "unlawful."
    )
    if not blocks:
        note = "No text mentions a group of the word lists, and no column was named (--group)."
    yield Section("Groups of people", blocks, note)


SECTIONS: tuple[Callable[[Figures], Iterator[Section]], ...] = (
    robustness,
    slices,
    calibration,
    faithfulness,
    shortcuts,
    attacks,
    bias,
)
