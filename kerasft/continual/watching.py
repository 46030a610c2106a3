"""`kerasft continue RUN --watch DIR`: each labelled file that comes into a folder is a stage of its own.

What was done stands in DIR/.kerasft.json. Before a file is learnt, its digest and the name of its run are written
there: after a crash the same run goes on. A file whose content was learnt under another name is not learnt again.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasft.atomic import write_atomically
from kerasft.console.signals import terminable
from kerasft.console.terminal import Terminal
from kerasft.continual.alerts import Alerts
from kerasft.continual.child_config import next_name
from kerasft.continual.continuing import Continuation, continue_run, open_parent, passed
from kerasft.errors import UserError
from kerasft.run_folder import hold, release
from kerasft.runs import Run

LEDGER = ".kerasft.json"
ENDINGS = (".jsonl", ".json", ".csv", ".tsv", ".tab", ".parquet", ".arrow", ".feather", ".xlsx", ".conll", ".txt")
SECONDS = 5.0  # between two looks; a file is taken once it has not changed from one to the next


def watch(
    folder: Path,
    directory: Path,
    overrides: Sequence[str],
    gate: float | None,
    once: bool,
    terminal: Terminal,
    port: int | None = None,
) -> int:
    """Learns the files of a folder, in the order of their names, as they come.

    Args:
        folder: of the run that the first file goes on from; later ones go on from the newest that passed the gate.
        directory: that is looked at.
        overrides: `key=value` for every run.
        gate: see `Continuation`.
        once: end when no file is left; else go on until Ctrl-C.
        terminal: shows progress.
        port: of this machine, to which a server posts that its requests drift: files wait for that; None: they do not.

    Returns:
        The exit code: 1, where a file could not be used or its run did not pass the gate.

    Raises:
        UserError: there is no such folder, another process watches it, it was begun with another run, or `name` is
            among the overrides.
    """
    if not directory.is_dir():
        raise UserError(f"--watch: {directory} is no folder; make it, or name another")
    if named := next((override for override in overrides if override.startswith("name=")), None):
        raise UserError(f"{named}: each file makes a run with a name of its own; leave it out")
    alerts = Alerts(open_parent(folder).config.served_name)
    hold(directory)
    sizes: dict[Path, tuple[int, int]] = {}
    learnt = False  # since the last alert
    try:
        with terminable(), alerts.listening(port) if port is not None else contextlib.nullcontext() as taken:
            if taken is not None:
                terminal.line(
                    f"{directory}: waits for drift of {alerts.model}: kerasft serve ... "
                    f"--drift-webhook http://127.0.0.1:{taken}/"
                )
            while True:
                ledger = _read_ledger(directory, folder)
                if port is not None and "current" not in ledger and not alerts.raised.wait(SECONDS):
                    continue
                before, sizes = sizes, {file: _stamp(file) for file in _files(directory)}
                whole = [file for file, stamp in sizes.items() if once or before.get(file) == stamp]
                file = next((file for file in whole if _is_new(file, sizes[file], ledger)), None)
                if file is not None:
                    _learn(file, directory, ledger, overrides, gate, terminal)
                    learnt = True
                elif once:
                    return int(any(entry.get("error") or not entry.get("passed") for entry in ledger["done"]))
                else:
                    if learnt and len(whole) == len(sizes):  # an alert before its rows are labelled waits for them
                        alerts.clear()
                        learnt = False
                    time.sleep(SECONDS)
    finally:
        release(directory)


def _learn(
    file: Path,
    directory: Path,
    ledger: dict[str, Any],
    overrides: Sequence[str],
    gate: float | None,
    terminal: Terminal,
) -> None:
    """One file: a run that goes on from the newest, and its entry in the ledger."""
    digest, parent = _digest(file, _stamp(file)), Run.open(Path(ledger["run"]))
    current = ledger.get("current")
    if current is None or current["sha256"] != digest:
        current = {"file": file.name, "sha256": digest, "name": next_name(parent, again=False)}
        _write_ledger(directory, ledger | {"current": current})
    entry: dict[str, Any] = {"file": file.name, "sha256": digest}
    run = Path(parent.config.output.dir) / current["name"]
    terminal.line(f"{file}: learnt as {run}")
    try:
        if (run / "finished.json").is_file():  # a crash between the run's end and the ledger
            before = Run.open(run)
            good = passed(before, before.load_json("metrics.json"), gate)
        else:
            asked = Continuation(parent.folder, str(file), [*overrides, f"name={current['name']}"], gate)
            _, good = continue_run(asked, "resume", terminal)
        entry |= {"run": str(run), "passed": good}
    except UserError as error:
        entry["error"] = str(error)
        terminal.line(f"{file}: left out: {error}")
    newest = entry["run"] if entry.get("passed") else ledger["run"]
    ledger = {key: value for key, value in ledger.items() if key != "current"}
    _write_ledger(directory, {**ledger, "run": newest, "done": [*ledger["done"], entry]})


def _files(directory: Path) -> list[Path]:
    return sorted(file for file in directory.iterdir() if file.suffix in ENDINGS and not file.name.startswith("."))


def _stamp(file: Path) -> tuple[int, int]:
    state = file.stat()
    return state.st_size, state.st_mtime_ns


def _is_new(file: Path, stamp: tuple[int, int], ledger: dict[str, Any]) -> bool:
    return _digest(file, stamp) not in {entry["sha256"] for entry in ledger["done"]}


@functools.lru_cache(maxsize=10_000)
def _digest(file: Path, stamp: tuple[int, int]) -> str:
    """Of a file's content; a file that has not changed since `stamp` is not read again at each look."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _read_ledger(directory: Path, folder: Path) -> dict[str, Any]:
    file = directory / LEDGER
    if not file.is_file():
        return {"begun": str(folder), "run": str(folder), "done": []}
    ledger = json.loads(file.read_text(encoding="utf-8"))
    runs = [ledger["run"], *(entry["run"] for entry in ledger["done"] if "run" in entry)]
    begun = ledger.get("begun", folder)
    if folder.resolve() not in {Path(run).resolve() for run in [begun, *runs]}:
        raise UserError(
            f"{file}: {directory} was begun with {begun}, and {folder} does not come from it; name that run, or use "
            "another folder"
        )
    return ledger


def _write_ledger(directory: Path, ledger: dict[str, Any]) -> None:
    write_atomically(directory / LEDGER, json.dumps(ledger, indent=2, ensure_ascii=False))
