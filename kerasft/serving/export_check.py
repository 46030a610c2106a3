"""The check of an export, its warm-up requests and what it takes to serve it, by one process that loads it once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kerasft.serving.capi_process import run_capi
from kerasft.serving.probes import Inputs, probe_numbers, rows_of
from kerasft.serving.sample_requests import requests, rows_of_requests
from kerasft.serving.servable_check import TIMEOUT_SECONDS, Check
from kerasft.serving.servable_graph import read_meta_graph
from kerasft.serving.warm_up import check_reply, read, record_run, request, write

# Rows of the largest batch that the bundle's batching.config lets the server form.
LARGEST_BATCH = 32


@dataclass(frozen=True)
class Measured:
    """What one version took in the check's process on the machine that exported it; not measured in a server.

    Seconds of `one_short` and `one_long` are those of a warm model, CPU seconds those of all its threads together.
    """

    load_seconds: float
    warm_up_seconds: float
    one_short_seconds: float
    one_long_seconds: float
    largest_batch: int
    largest_batch_seconds: float
    largest_batch_cpu_seconds: float
    empty_bytes: int
    loaded_bytes: int
    peak_bytes: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class WarmUp:
    """The warm-up file of a SavedModel, which is written, and what is run to test it and to measure the model.

    Args:
        saved_model: the draft of a version folder.
        name: what the model is served as.
        sample: {column: text} such as a user would send.
        max_length: tokens that the model cuts texts to.
        numbers: {signature: {input: (dtype, values)}}, what some signatures take besides; the first value is sent.
        own: {signature: {column: texts}}, samples of signatures that take others than `sample`, of some rows.

    Attributes:
        runs: as `run_capi` takes them: every record of the file, and then, on a warm model, what is measured. They
            are to be the first that a process runs.
    """

    def __init__(
        self,
        saved_model: Path,
        name: str,
        sample: Mapping[str, str],
        max_length: int,
        numbers: Mapping[str, Mapping[str, tuple[str, Sequence[float]]]] | None = None,
        own: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    ):
        meta_graph = read_meta_graph(saved_model)
        usual = requests(sample, max_length) if sample else ({}, {})
        pairs = {key: rows_of_requests(texts, max_length) for key, texts in (own or {}).items()}

        def batches(key: str) -> list[dict[str, list[bytes]]]:
            short, long = pairs.get(key, usual)
            return [short, long, {column: [*short[column], *long[column]] for column in short}]

        def filled(key: str, batch: Inputs) -> dict[str, Any]:
            first = {name: (dtype, values[:1]) for name, (dtype, values) in (numbers or {}).get(key, {}).items()}
            return {**batch, **probe_numbers({key: first}, rows_of(batch))[key]}

        keys = sorted(key for key in meta_graph.signature_def if not key.startswith("__"))
        write(saved_model, [request(name, key, filled(key, batch)) for key in keys for batch in batches(key)])
        records = [record_run(meta_graph, log) for log in read(saved_model)]
        default = pairs.get("serving_default", usual)
        short, long = ({column: rows[:1] for column, rows in batch.items()} for batch in default)
        full = {column: (rows * LARGEST_BATCH)[:LARGEST_BATCH] for column, rows in default[1].items()}
        # After the records the model is warm: these are what users will see.
        timed = [record_run(meta_graph, request(name, "serving_default", batch)) for batch in (short, long, full)]
        self._records, self.runs = len(records), [*records, *timed]

    def measured(self, reply: Mapping[str, Any]) -> Measured:
        """What the process said to `runs`.

        Raises:
            ServableError: it does not load, or a record fails, so the server would not load the version.
        """
        check_reply(reply)
        one_short, one_long, largest = reply["runs"][self._records :]
        return Measured(
            load_seconds=reply["load_seconds"],
            warm_up_seconds=sum(run["seconds"] for run in reply["runs"][: self._records]),
            one_short_seconds=one_short["seconds"],
            one_long_seconds=one_long["seconds"],
            largest_batch=LARGEST_BATCH,
            largest_batch_seconds=largest["seconds"],
            largest_batch_cpu_seconds=largest["cpu_seconds"],
            empty_bytes=reply["peak_bytes"],
            loaded_bytes=reply["loaded_peak_bytes"],
            peak_bytes=largest["peak_bytes"],
        )


def checked_and_measured(saved_model: Path, check: Check, warm_up: WarmUp) -> Measured:
    """Both by one process, which loads the SavedModel once.

    Raises:
        ServableError: it can't be served, or a record of the warm-up file fails.
    """
    reply = run_capi(saved_model, check.ops, [*warm_up.runs, *check.runs], 2 * TIMEOUT_SECONDS)
    first, rest = (reply["runs"][part] for part in (slice(len(warm_up.runs)), slice(len(warm_up.runs), None)))
    check.report({**reply, "runs": rest})
    return warm_up.measured({**reply, "runs": first})
