"""Writes a base and the adapters of several runs as one SavedModel: `export.adapters`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasft.serving.adapter_facts import DEFAULT, INPUT, KEY, all_inputs, probes_of, samples_of
from kerasft.serving.adapters.serving_model import ServedAdapter, Source, load_adapters
from kerasft.serving.export_check import WarmUp, checked_and_measured
from kerasft.serving.exporter import expected_answers, write_facts, write_labels
from kerasft.serving.outside_ops import check_trusted
from kerasft.serving.servable_check import Check
from kerasft.serving.version_folder import write_version

if TYPE_CHECKING:
    import numpy as np

    from kerasft.serving.adapters.routing import Router


def export_adapters(sources: list[Source], name: str, directory: Path, metadata: Mapping[str, Any]) -> Path:
    """Writes `directory`/VERSION, the next integer, whole and checked or not at all.

    The signature of each adapter has its name and its task's inputs and answers. serving_default takes all of their
    inputs and `adapter`, the name for each row. What is served is held against each run's own merged model.

    Args:
        sources: of `find_sources`.
        name: what the model is served as.
        directory: `saved_models/NAME`.
        metadata: JSON-able; joins what `assets.extra/kerasft.json` says anyway.

    Raises:
        ServableError: the check failed; `directory` is as it was.
        UserError: the adapters can't be served together, or `directory` can't be written.
    """

    def write(draft: Path) -> None:
        served = load_adapters(sources)
        adapters = {each.name: _facts(each) for each in served}
        router = _router(served)
        _save(served, router, draft)
        probes = probes_of(adapters)
        check_trusted(draft)
        check = Check(draft, probes[DEFAULT], _expected(sources, router, probes), own=probes)
        samples = samples_of({each.name: each.task.sample() for each in served})
        longest = max(each["max_length"] for each in adapters.values())
        measured = checked_and_measured(draft, check, WarmUp(draft, name, {}, longest, own=samples))
        for each in served:
            write_labels(draft, each.task.state.get("labels"), f"labels-{each.name}")
        facts = {KEY: adapters, "max_length": longest, "numbers": {}, "measured": measured.as_dict()}
        write_facts(draft, {**metadata, **facts})

    return write_version(directory, write)


def left_out(sources: Sequence[Source]) -> list[str]:
    """What an export with adapters has not, and an adapter's own export has: a line each."""
    from kerasft.tasks.registry import create_task

    return [
        f"{source.name}: the signature {key} of {source.run.folder} is left out; export it by itself to have it"
        for source in sources
        for key in create_task(source.run.config, source.run.load_state()).numbers
    ]


def _facts(served: ServedAdapter) -> dict[str, Any]:
    task = served.task
    return {
        "config": task.config.model_dump(mode="json"),
        "state": task.state,
        "task": task.config.task.model_dump(mode="json"),
        "labels": task.state.get("labels"),
        "inputs": list(task.inputs),
        "max_length": task.config.model.max_length,
        "run": served.source.run.identity(),
    }


def _router(served: Sequence[ServedAdapter]) -> Router:
    import tensorflow as tf

    from kerasft.serving.adapters.routing import Router

    specs = {}
    for each in served:
        strings = {key: tf.TensorSpec([None], tf.string, name=key) for key in each.task.inputs}
        traced = tf.function(each.answer, input_signature=[strings], autograph=False).get_concrete_function()
        specs[each.name] = {
            key: tf.TensorSpec(output.shape, output.dtype) for key, output in traced.structured_outputs.items()
        }
    return Router({each.name: each.answer for each in served}, {each.name: each.task.inputs for each in served}, specs)


def _save(served: Sequence[ServedAdapter], router: Router, path: Path) -> None:
    import tensorflow as tf

    module: Any = tf.Module(name="servable")  # saves what it is given as attributes
    module.preprocessors = [each.preprocessor for each in served]
    weights = [w for each in served for w in (*each.model.weights, *each.method.bank.weights)]
    module.weights = [weight.value for weight in {id(weight): weight for weight in weights}.values()]

    def strings(names: Sequence[str]) -> dict[str, tf.TensorSpec]:
        return {name: tf.TensorSpec([None], tf.string, name=name) for name in names}

    def own(each: ServedAdapter):
        return tf.function(lambda **texts: each.answer(texts), autograph=False)

    def by_row(**texts):
        return router({key: value for key, value in texts.items() if key != INPUT}, texts[INPUT])

    inputs = all_inputs({each.name: {"inputs": each.task.inputs} for each in served})
    default = tf.function(by_row, autograph=False).get_concrete_function(**strings([*inputs, INPUT]))
    signatures = {each.name: own(each).get_concrete_function(**strings(each.task.inputs)) for each in served}
    tf.saved_model.save(module, str(path), signatures={DEFAULT: default, **signatures})
    (path / "fingerprint.pb").unlink(missing_ok=True)


def _expected(
    sources: Sequence[Source], router: Router, probes: Mapping[str, Mapping[str, Sequence[bytes]]]
) -> dict[str, dict[str, np.ndarray]]:
    """What the merged model of each run answers in this process: {signature: {output: (rows, ...)}}."""
    from kerasft.serving.adapters.routing import blended

    chosen = [name.decode() for name in probes[DEFAULT][INPUT]]
    expected, by_row = {}, {}
    for source in sources:
        merged = source.run.load()
        name, parts = source.name, (merged.task, merged.preprocessor, merged.model)
        expected[name] = expected_answers(*parts, probes[name])[DEFAULT]
        rows = [row for row, adapter in enumerate(chosen) if adapter == name]
        some = expected_answers(*parts, {key: [texts[row] for row in rows] for key, texts in probes[name].items()})
        places = {row: place for place, row in enumerate(rows)}
        by_row[name] = {
            output: values[[places.get(row, 0) for row in range(len(chosen))]]
            for output, values in some[DEFAULT].items()
        }
    kinds = {output: spec.dtype for output, spec in router.outputs.items()}
    return {**expected, DEFAULT: blended(by_row, chosen, kinds)}
