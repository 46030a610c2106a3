"""The sections of an audit's page about people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kerasft.audit.figures import Figures
from kerasft.audit.shown import figure_range, named, skipped
from kerasft.evaluation.report.blocks import Facts, Section, Table
from kerasft.evaluation.report.labels import percent, score


def bias(found: Figures) -> Iterator[Section]:
    part = found["bias"]
    if "skipped" in part:
        yield from skipped("Groups of people", part)
        return
    blocks: list[Any] = []
    for name, row in part["groups"].items():
        columns = [("group", "text"), ("rows", "count"), ("accuracy", "text")]
        groups = [(group, each["rows"], figure_range(each["accuracy"])) for group, each in row["groups"].items()]
        blocks.append(Table(columns, groups, f"By {name}", wide=False))
        gaps = [(named(gap), f"{figure_range(each)}, label {each['label']}") for gap, each in row["gaps"].items()]
        small = f"fewer than 50 rows: {', '.join(row['small'])}" if row["small"] else "every group has 50 rows"
        blocks.append(Facts(gaps or [("no differences are told", small)], "Largest difference of any label"))
    rows = [
        (aspect, each["rows"], figure_range(each["flipped"], percent), each["mean_change"])
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


def mitigation(found: Figures) -> Iterator[Section]:
    part = found["mitigation"]
    if "skipped" in part:
        return
    answers = part["answers"]
    facts = [
        (f"{part['measure'].capitalize()} before", score(answers["right_before"])),
        ("After", score(answers["right_after"])),
        ("Difference", figure_range(answers["change"])),
        ("Run", part["run"]),
        *((named(name), f"{value:,.4g}") for name, value in part["rows"].items() if isinstance(value, (int, float))),
    ]
    rows = [
        (f"answers that change with words of {aspect}", "", figure_range(row["before"]), figure_range(row["after"]))
        for aspect, row in part["exchange"].items()
    ]
    rows += [
        (f"{named(gap)} by {name}", _labels(row), figure_range(row["before"]), figure_range(row["after"]))
        for name, gaps in part["gaps"].items()
        for gap, row in gaps.items()
    ]
    columns = [("figure", "text"), ("label", "text"), ("before", "text"), ("after", "text")]
    note = (
        f"The same config and seed, trained once more with data.mitigate ({', '.join(part['methods'])}). Less is more "
        "alike. Both runs are measured on the same rows; another seed moves figures, too."
    )
    yield Section("A mitigation, before and after", [Facts(facts), Table(columns, rows)], note)


def _labels(row: Mapping[str, Any]) -> str:
    labels = dict.fromkeys((row["before"]["label"], row["after"]["label"]))
    return " → ".join(map(str, labels))


def language(found: Figures) -> Iterator[Section]:
    part = found["pairs"]
    if "skipped" not in part:
        facts = [("The stereotype is likelier", figure_range(part["stereotype"])), ("Pairs", f"{part['rows']:,}")]
        if "language" in part:
            facts += [("Sense before nonsense", figure_range(part["language"])), ("ICAT", score(part.get("icat")))]
        columns = [("kind", "text"), ("pairs", "count"), ("stereotype likelier", "text")]
        rows = [(kind, each["rows"], figure_range(each)) for kind, each in part["kinds"].items()]
        note = "0.5 is neutral. Many pairs of such sets are invalid: no figure here is a verdict."
        yield Section("Pairs of sentences about groups", [Facts(facts), Table(columns, rows)], note)
    part = found["questions"]
    if "skipped" not in part:
        columns = [("context", "text"), ("accuracy", "text"), ("bias", "score"), ("biased answers of those", "text")]
        names = {"ambig": "does not say", "disambig": "says it"}
        rows = [
            (name, figure_range(part[key]["accuracy"]), part[key]["bias"], figure_range(part[key]["named"]))
            for key, name in names.items()
        ]
        note = (
            f"{part['rows']:,} questions; {part['unread']:,} answers mean none of the options and count as wrong. Bias "
            "is from -1 to 1; 0 is none."
        )
        yield Section("Questions about people", [Table(columns, rows)], note)
