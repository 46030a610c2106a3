"""`--engine`: what computes a version's answers: its SavedModel, or the LiteRT or ONNX form that was exported with it.

A form is a folder beside the versions (`export.formats`), and of one version: that of the same training. It answers
`serving_default`; other signatures stay the SavedModel's. `auto` takes whichever is fastest on this machine of those
that agree: at least 98 % of the texts of its check had Keras' answer, and the version's warm-up texts have that of the
SavedModel here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from grpc import StatusCode

from kerasft.errors import ServableError, UserError
from kerasft.serving import warm_up
from kerasft.serving.formats.agreement import same_answers
from kerasft.serving.formats.converted import FACTS, ConvertedExport, is_converted
from kerasft.serving.server.loaded_model import DEFAULT_SIGNATURE, Arrays, LoadedModel, first_line
from kerasft.serving.status import BY_NUMBER, ServingError, invalid

if TYPE_CHECKING:
    from kerasft.serving.formats.converted import Converted

SAVED_MODEL, AUTO = "saved_model", "auto"
FORMS = ("litert", "onnx")
ENGINES = (SAVED_MODEL, *FORMS, AUTO)
LEAST_AGREEMENT = 0.98  # of the check's 64 texts: all but one
ROWS = (1, 32)  # of the batches that are measured
ROUNDS = 5  # the best of which counts


@dataclass(frozen=True)
class Chosen:
    """What answers a version.

    Attributes:
        engine: one of ENGINES, without auto.
        seconds: {engine: seconds of one text and of 32}, where it was measured.
        left_out: {engine: why it was not taken}.
    """

    engine: str
    seconds: Mapping[str, Sequence[float]] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


def put_in(model: LoadedModel, folder: Path, engine: str) -> Chosen:
    """Makes a loaded version answer by an engine.

    Args:
        model: loaded, and warm.
        folder: of the version.
        engine: one of ENGINES.

    Raises:
        ServableError: the version has no such form.
        UserError: its runtime is not installed.
    """
    if engine == SAVED_MODEL:
        return Chosen(engine)
    if engine != AUTO:
        model.engine = Form(_form_of(folder, engine).load())
        return Chosen(engine)
    exports, left_out, forms = {}, {}, {}
    for name in FORMS:
        try:
            exports[name] = _form_of(folder, name)
        except (ServableError, UserError) as error:
            left_out[name] = str(error)
    if not exports:  # nothing to choose from, and perhaps a SavedModel of another program
        return Chosen(SAVED_MODEL, {}, left_out)
    texts = _texts(folder)
    expected = model.run(DEFAULT_SIGNATURE, texts)
    seconds = {SAVED_MODEL: _seconds(model, texts)}
    for name, export in exports.items():
        try:
            model.engine = forms[name] = Form(export.load())
            _check_agrees(model, export, texts, expected)
            seconds[name] = _seconds(model, texts)
        except Exception as error:  # noqa: BLE001  each runtime has classes of its own; the SavedModel answers
            left_out[name] = first_line(str(error)) or type(error).__name__
    fastest = min(seconds, key=lambda name: float(np.prod(seconds[name])))
    model.engine = forms.get(fastest) if fastest != SAVED_MODEL else None
    return Chosen(fastest, seconds, left_out)


class Form:
    """A converted model in the place of a session.

    Args:
        converted: loaded.
    """

    def __init__(self, converted: Converted):
        self._converted = converted

    def run(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Byte strings -> outputs; it can't be stopped. Raises ServingError with TensorFlow's own code and message."""
        import tensorflow as tf

        try:
            return self._converted.answer({name: array.ravel().tolist() for name, array in inputs.items()})
        except tf.errors.OpError as error:
            code = BY_NUMBER.get(error.error_code, StatusCode.UNKNOWN)
            raise ServingError(code, first_line(error.message)) from None
        except UnicodeDecodeError:
            raise invalid("the model refuses an input that is not UTF-8") from None


def _form_of(folder: Path, name: str) -> ConvertedExport:
    """The form of a version. Raises ServableError where there is none."""
    form = folder.parent / name
    if not is_converted(form):
        raise ServableError(
            f"--engine: {folder} has no {name} form beside it; export it with export.formats: [saved_model, {name}]"
        )
    export = ConvertedExport.open(form)
    of_form, of_version = export.facts.get("run"), _facts(folder).get("run")
    if of_form is None or of_form != of_version:
        raise ServableError(f"--engine: {form} is of another training than {folder}; export the run again")
    return export


def form_files(folder: Path) -> list[Path]:
    """What changes where a form beside a version does."""
    return [folder.parent / name / FACTS for name in FORMS]


def _facts(folder: Path) -> Mapping:
    try:
        return json.loads((folder / "assets.extra" / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # a SavedModel of another program
        return {}


def _texts(folder: Path) -> Arrays:
    """The version's warm-up texts, a usual and a long row. Raises ServableError: it has none."""
    for log in warm_up.read(folder):
        request = log.predict_log.request
        if log.WhichOneof("log_type") == "predict_log" and request.model_spec.signature_name == DEFAULT_SIGNATURE:
            rows = {name: np.array(tensor.string_val, object) for name, tensor in request.inputs.items()}
            if all(len(values) == 2 for values in rows.values()):
                return rows
    raise ServableError(
        f"--engine auto: {folder} has no warm-up requests to measure; export it again, or name an engine"
    )


def _check_agrees(model: LoadedModel, export: ConvertedExport, texts: Arrays, expected: Arrays) -> None:
    agreement = export.facts["check"]["agreement"]
    if agreement < LEAST_AGREEMENT:
        raise ServableError(f"{agreement:.1%} of its check's texts had Keras' answer, fewer than {LEAST_AGREEMENT:.0%}")
    if not all(same_answers(export.task, expected, model.run(DEFAULT_SIGNATURE, texts))):
        raise ServableError("it answers the warm-up texts otherwise than the SavedModel")


def _seconds(model: LoadedModel, texts: Arrays) -> list[float]:
    """Of one usual text, and of 32: the best of some rounds."""
    best = []
    for rows in ROWS:
        part = {name: np.resize(values[:1], rows) for name, values in texts.items()}
        rounds = []
        for _ in range(ROUNDS + 1):  # the first traces and plans
            start = time.perf_counter()
            model.run(DEFAULT_SIGNATURE, part)
            rounds.append(time.perf_counter() - start)
        best.append(min(rounds))
    return best
