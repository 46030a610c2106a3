"""What is done with a trained model for servers: a version is exported, and a user is told how to serve it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path

from kerasft.config.output import ExportConfig
from kerasft.config.schema import Config
from kerasft.config.serving import ServingConfig
from kerasft.console.terminal import Terminal
from kerasft.errors import UserError
from kerasft.inference.export import find_export, remove_drafts
from kerasft.invocation import command, install_command
from kerasft.run_card import write_card_of_adapters
from kerasft.serving.adapter_facts import INPUT, samples_of
from kerasft.serving.adapters.serving_model import find_sources


def check_adapters(config: Config, run: Path) -> None:
    """Before a training: whether what `export.adapters` names could be exported, but for the run itself.

    Raises:
        UserError: it could not.
    """
    adapters = (config.export.enabled and config.export.adapters) or {}
    others = {
        name: place for name, place in adapters.items() if Path(place.removeprefix("run:")).resolve() != run.resolve()
    }
    if len(others) < len(adapters) and config.model.peft is None:
        name = next(name for name in adapters if name not in others)
        raise UserError(f"export.adapters.{name}: {run} has no model.peft, so that it will have no adapter; set that")
    if others:
        find_sources(others)


def publish_adapters(
    name: str,
    export: ExportConfig,
    terminal: Terminal,
    directory: str | None = None,
    identity: Mapping[str, str] | None = None,
    once: bool = False,
    serving: ServingConfig | None = None,
) -> Path:
    """Exports the adapters of `export.adapters`, checked, and says how to serve them.

    Args:
        name: what the model is served as.
        export: the section of a config.
        terminal: gets the commands.
        directory: instead of `export.dir`.
        identity: of the run that this is the export of; None: of none.
        once: an export of this run that is there is enough.
        serving: the section of the same config; its filters hold beside those of the adapters' runs.

    Returns:
        DIR/NAME/VERSION.

    Raises:
        UserError: they can't be exported together.
        ServableError: the SavedModel would not be served; nothing was written.
    """
    from kerasft.serving.adapters.export import export_adapters, left_out
    from kerasft.tasks.registry import create_task

    sources = find_sources(export.adapters or {})
    for line in left_out(sources):
        terminal.line(line)
    target = Path(directory or export.dir) / name
    metadata = {"run": identity} | ({"serving": serving.model_dump(mode="json")} if serving else {})
    version = published(
        target,
        lambda folder: export_adapters(sources, name, folder, metadata),
        terminal,
        identity if once else None,
    )
    runs = {each.name: each.run for each in sources}
    terminal.file("card", write_card_of_adapters(name, runs, target))
    tasks = {each.name: create_task(each.run.config, each.run.load_state()) for each in sources}
    rows = samples_of({adapter: task.sample() for adapter, task in tasks.items()})["serving_default"]
    tell_how_to_serve(version, {key: texts[0] for key, texts in rows.items()}, terminal)
    return version


def published(
    target: Path, write: Callable[[Path], Path], terminal: Terminal, identity: Mapping[str, str] | None
) -> Path:
    """The version that `write` makes in saved_models/NAME, or the one that is there of this very model."""
    for draft in remove_drafts(target):
        terminal.line(f"{draft}: removed; it is of an export that was killed")
    version = find_export(target, identity)
    if version is None:
        with terminal.progress("export", 1, unit="servable") as line:
            version = write(target)
            line.update(1)
    terminal.result(f"export: {version}")
    return version


def tell_how_to_serve(version: Path, sample: Mapping[str, str], terminal: Terminal) -> None:
    """Writes the files of operators beside a version, and tells the commands that ask and serve it."""
    from kerasft.serving.bundle import FOLDER, write_bundle
    from kerasft.serving.tf_serving import ask_command, serve_commands

    target, name = version.parent, version.parent.name
    for file in write_bundle(target, name, int(version.name), sample):
        terminal.line(f"{target / FOLDER / file}: changed by hand, so it stays; see {file}.new beside it")
    which = ("--adapter", sample[INPUT]) if INPUT in sample else ()
    terminal.result(f"to ask it: {command('predict', target, *which, '--input', 'texts.txt')}")
    lacking = "" if importlib.util.find_spec("aiohttp") else f"  (first: {install_command('serve')})"
    terminal.result(f"to serve it on this machine: {command('serve', target)}{lacking}")
    terminal.file("to operate it", target / FOLDER / "README.md")
    terminal.result(serve_commands(target, name))
    terminal.result(f"# and to ask it\n{ask_command(name, sample)}")
