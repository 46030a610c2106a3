"""Figures of an audit -> sections of its page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kerasft.audit.figures import Figures
from kerasft.audit.people_sections import bias, language, mitigation
from kerasft.audit.shown import figure_range, named, skipped
from kerasft.evaluation.report import plots
from kerasft.evaluation.report.blocks import Facts, Figure, Section, Table, Words
from kerasft.evaluation.report.labels import percent, score


def robustness(found: Figures) -> Iterator[Section]:
    part = found["robustness"]
    if "skipped" in part:
        yield from skipped("Robustness", part)
        return
    if part["numbers"]:
        yield _moved(part)
        return
    columns = [("change", "text"), ("what", "text"), ("must", "text"), ("rows", "count"), ("answers changed", "text")]
    columns += [(f"{part['measure']} before", "score"), ("after", "score"), ("difference", "text"), ("p", "text")]
    rows = [
        (
            named(name), row["what"], row["expected"] if row["expected"] == "stay" else "–", row["rows"],
            figure_range(row.get("flipped"), percent), row.get("right_before"), row.get("right_after"),
            figure_range(row.get("change")), f"{row['p']:.2g}" if "p" in row else "–",
        )
        for name, row in part["changes"].items()
    ]  # fmt: skip
    examples = [
        (named(name), each["text"], each["changed"], f"{each['before']} → {each['after']}")
        for name, row in part["changes"].items()
        for each in row.get("examples", ())[:1]
    ]
    shown = [("change", "text"), ("text", "text"), ("changed", "text"), ("answer", "text")]
    note = (
        "Only rows whose text changes are counted, and where answers are words of a text, rows whose answers are "
        "still in it. Where answers must stay, each one that changes is a fault. p is "
        "McNemar's, exact, for one change alone. An uncased tokenizer passes every change of case."
    )
    blocks = [Table(columns, rows)]
    yield Section("Robustness", [*blocks, Table(shown, examples, "An answer that changed, of each")], note)


def _moved(part: Figures) -> Section:
    """Of answers that are numbers."""
    columns = [("change", "text"), ("what", "text"), ("rows", "count"), ("answers move by", "text")]
    columns += [("mean error before", "score"), ("after", "score"), ("difference", "text")]
    rows = [
        (
            named(name), row["what"], row["rows"], figure_range(row.get("moved")), row.get("error_before"),
            row.get("error_after"), figure_range(row.get("change")),
        )
        for name, row in part["changes"].items()
    ]  # fmt: skip
    note = "Only rows whose text changes are counted. Moves and errors are means, in the units of the labels."
    return Section("Robustness", [Table(columns, rows)], note)


def slices(found: Figures) -> Iterator[Section]:
    part = found["slices"]
    if "skipped" in part:
        yield from skipped("Worst slices", part)
        return
    columns = [("by", "text"), ("slice", "text"), ("rows", "count"), (part["measure"], "text"), ("rest", "score")]
    columns += [("p", "text"), ("p, corrected", "text")]
    rows = [
        (
            row["kind"], row["name"], row["right"]["rows"], figure_range(row["right"]), row["rest"],
            f"{row['p']:.2g}", f"{row['p_adjusted']:.2g}",
        )
        for row in part["slices"]
    ]  # fmt: skip
    note = (
        f"{part['measure'].capitalize()}: {figure_range(part['right'])}. {part['compared']} slices were compared with "
        f"the rest (Fisher's exact test, Holm's correction); {part['worse']} are worse with all comparisons in view."
    )
    yield Section("Worst slices", [Table(columns, rows, visible=10)], note)


def calibration(found: Figures) -> Iterator[Section]:
    part = found["calibration"]
    if "skipped" in part:
        yield from skipped("Calibration", part)
        return
    temperature = part["temperature"]
    facts = [
        ("Calibration error", f"{score(part['expected_calibration_error'])} on {part['rows']:,} rows"),
        ("Mean confidence", score(part["mean_confidence"])),
        ("Accuracy", figure_range(part["accuracy"])),
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
            (named(name), row["auroc"], row["rejected"], row["caught"], row["threshold"])
            for name, row in unknown["scores"].items()
        ]
        blocks.append(Table(columns, rows, f"Unknown texts: {unknown['unknown']} ({unknown['source']})"))
    yield Section("Calibration and unknown texts", blocks, "Is it right as often as it is sure?")


def faithfulness(found: Figures) -> Iterator[Section]:
    part = found["faithfulness"]
    if "skipped" in part:
        yield from skipped("Explanations", part)
        return
    mosaics = part["mosaics"] or {"pairs": 0, "methods": {}, "between": {}}
    columns = [("method", "text"), ("comprehensiveness", "text"), ("sufficiency", "text")]
    columns += [("mosaics, one label", "text"), ("mosaics, two labels", "text"), ("stability", "text")]
    columns += [("gap, median / 95 %", "text"), ("seconds a text", "score")]
    rows = [
        (
            named(name), figure_range(row.get("comprehensiveness")), figure_range(row.get("sufficiency")),
            figure_range(mosaics["methods"].get(name)), figure_range(mosaics["between"].get(name)),
            figure_range(row.get("stability")), _gaps(row), row.get("seconds"),
        )
        for name, row in part["methods"].items()
    ]  # fmt: skip
    note = (
        "Comprehensiveness: what the answer's logit loses as words are hidden in a method's order, 0 to 1 between the "
        "worst and the best order that a beam search finds; more is better. Sufficiency: what it lacks where only the "
        f"first words are left; less is better. On {part['measured']} texts. Mosaics: the share of positive "
        f"attribution in the right half of two joined texts ({mosaics['pairs']} pairs); by chance 0.5. One label: what "
        "speaks for it. Two labels: what speaks for it and not for the label of the other half. "
        + _head(part["new_head"])
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


def _gaps(row: Figures) -> str:
    """How far the parts of explanations miss their sum; a random order has none."""
    return "–" if row.get("gap_median") is None else f"{percent(row['gap_median'])} / {percent(row['gap_95'])}"


def _head(part: Figures) -> str:
    if "skipped" in part:
        return f"Stability: not measured, {part['skipped']}."
    return (
        "Stability: the rank correlation of a text's words under the model's head and under a new one, fitted to "
        f"another sample of {part['train_rows']:,} training rows; 1 is the same order, 0 is chance. Of the answers "
        f"{percent(part['same_answers']['value'])} stay under the new head."
    )


def shortcuts(found: Figures) -> Iterator[Section]:
    part = found["shortcuts"]
    if "skipped" in part:
        yield from skipped("Words that answers hang on", part)
        return
    columns = [("label", "text"), ("word", "text"), ("answers that change without it", "bar"), ("logit lost", "score")]
    columns += [("texts with it", "count"), ("in the label's name", "text")]
    rows = [
        (row["label"], row["word"], row["flips"], row["drop"], row["texts"], "yes" if row["named"] else "no")
        for row in part["shortcuts"]
    ]
    every = [
        (label, ", ".join(f"{row['word']} ({row['drop']:+.1f})" for row in each["words"]), each["texts"])
        for label, each in sorted(part["labels"].items())
    ]
    own = Table([("label", "text"), ("words", "text"), ("texts", "count")], every, "Each label's words", visible=15)
    note = (
        "A word without which more than 20 % of a label's answers change. It may be the reason, or a shortcut. Words "
        "that the label is not named after come first."
    )
    yield Section("Words that answers hang on", [Table(columns, rows, visible=15), own], note)


def attacks(found: Figures) -> Iterator[Section]:
    part = found["attacks"]
    if "skipped" in part:
        yield from skipped("Searched changes", part)
        return
    columns = [("changes of", "text"), ("answers changed", "text"), ("words changed", "percent"), ("queries", "count")]
    rows = [
        (kind, figure_range(row["changed"], percent), row["words_changed"], row["queries"])
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


SECTIONS: tuple[Callable[[Figures], Iterator[Section]], ...] = (
    robustness,
    slices,
    calibration,
    faithfulness,
    shortcuts,
    attacks,
    bias,
    mitigation,
    language,
)
