"""The section of a report about a stage of continual learning: what was learnt before, and what is left of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kerasft.evaluation.report import plots
from kerasft.evaluation.report.blocks import Facts, Figure, Report, Section, Table
from kerasft.evaluation.report.labels import score, title

MOST_STAGES = 20  # columns of the matrix; the latest stages, where there are more
_BASELINES = {"joint": "all rows at once (joint)", "sequential": "nothing kept (sequential)"}
_FIGURES = {
    "final": "after the last stage",
    "average_incremental": "mean over stages",
    "forgetting": "forgetting",
    "backward_transfer": "backward transfer",
}


def continual(report: Report) -> Section | None:
    """Scores on the tests of every stage after every stage, beside the baselines, and where the run comes from."""
    found = report.metrics.get("continual")
    if not found:
        return None
    names = [str(stage["stage"]) for stage in found.get("stages", ())]
    blocks: list[Any] = [_compared(found)]
    svg = plots.stage_curves(_curves(found))
    if svg is not None:
        caption = f"{title(report.headline)} on the tests of all stages so far, after each stage."
        blocks.append(Figure(svg, caption))
    blocks += [_matrix(found["matrix"], names), *_lineage(found.get("lineage", {}))]
    return Section("Stages", blocks, f"{title(report.headline)} on {report.split} rows.")


def _compared(found: Mapping[str, Any]) -> Table:
    method = str(found.get("method", {}).get("method", "this run"))
    rows = [(name, *(_text(values.get(key)) for key in _FIGURES)) for name, values in _learners(found, method)]
    return Table([("method", "text"), *((name, "text") for name in _FIGURES.values())], rows, "Compared")


def _learners(found: Mapping[str, Any], method: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield method, found
    for key, name in _BASELINES.items():
        if key in found:
            yield name, found[key]


def _curves(found: Mapping[str, Any]) -> dict[str, list[tuple[int, float]]]:
    """Name -> (stage, mean score then) of the stages that were measured."""
    sizes = [stage["test_rows"] for stage in found.get("stages", ())]
    curves = {}
    for name, values in _learners(found, "this run"):
        measured = [(number, row) for number, row in enumerate(values["matrix"], 1) if row]
        curves[name] = [
            (number, sum(size * value for size, value in zip(sizes, row)) / max(1, sum(sizes[: len(row)])))
            for number, row in measured
        ]
    return curves


def _matrix(matrix: Sequence[Sequence[float | None]], names: Sequence[str]) -> Table:
    first = max(0, len(names) - MOST_STAGES)
    columns = [("after", "text"), *((name, "text") for name in names[first:])]
    rows = [
        (names[stage], *(_text(row[i] if i < len(row) else None) for i in range(first, len(names))))
        for stage, row in enumerate(matrix)
    ]
    left_out = f"; the first {first} stages' tests are left out" if first else ""
    return Table(columns, rows, f"Rows: after a stage; columns: on its tests{left_out}")


def _lineage(lineage: Mapping[str, Any]) -> list[Facts]:
    if not lineage:
        return []
    rows = [("Method", ", ".join(f"{key} {value}" for key, value in lineage.get("method", {}).items()))]
    rows += [("Parent", f"{parent['run']} ({parent.get('id', 'unknown')})") for parent in lineage.get("parents", ())]
    rows.append(("Rows learnt in this stage", f"{lineage.get('rows', 0):,}"))
    if new := lineage.get("new_labels"):
        shown = ", ".join(map(str, new[:20])) + (f" and {len(new) - 20} more" if len(new) > 20 else "")
        rows.append(("New labels", shown))
    rows += [(f"Digest of {split}", str(digest)) for split, digest in lineage.get("data", {}).items()]
    return [Facts(rows, "Lineage")]


def _text(value: float | None) -> str:
    return "" if value is None else score(value)
