"""Which function writes which form of a model, and how each comes to its place: whole and checked, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import kerasft
from kerasft.assembly import Assembled, head_of, load_model
from kerasft.atomic import write_folder
from kerasft.config.schema import Config
from kerasft.errors import ServableError, UserError
from kerasft.models.presets.gguf_export import check_llama, write_gguf
from kerasft.runs import Run, Trained
from kerasft.serving.formats.agreement import largest_difference, same_answers
from kerasft.serving.formats.converted import FACTS, PREPROCESSOR, ConvertedExport
from kerasft.serving.formats.gguf import check_gguf
from kerasft.serving.formats.huggingface import check_huggingface, has_form, write_huggingface
from kerasft.serving.formats.litert import write_litert
from kerasft.serving.formats.onnx import check_installed, write_onnx
from kerasft.serving.formats.real_texts import real_texts
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task

LEAST_AGREEMENT = 0.9  # share of real texts that get the same answer; fewer: something is wrong beside rounding
Write = Callable[[Run, Task, Assembled, Path], dict[str, Any]]


def write_formats(run: Run, directory: Path, say: Callable[[str], None]) -> list[Path]:
    """Writes the forms of a run's model that `export.formats` names beside its versions.

    Args:
        run: trained.
        directory: saved_models/NAME, which is there.
        say: told of each.

    Returns:
        The folders.

    Raises:
        UserError: the model has no such form.
        ServableError: a form does not answer as Keras does; what was there before stays.
    """
    folders: list[Path] = []
    names = [name for name in run.config.export.formats if name in FORMATS]  # the SavedModel is written elsewhere
    if not names:
        return folders
    task = create_task(run.config, run.load_state())
    assembled = load_model(run.folder / "model", task)  # which no form changes
    for name in names:
        with write_folder(directory / name) as draft:
            check = FORMATS[name](run, task, assembled, draft)
            facts = {"config": run.config.model_dump(mode="json"), "state": task.state, "run": run.identity()}
            facts |= {"check": check, "kerasft": kerasft.__version__}
            (draft / FACTS).write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        size = sum(path.stat().st_size for path in (directory / name).rglob("*") if path.is_file())
        say(f"{name}: {directory / name}, {size / 1e6:,.1f} MB, {_words(check)}")
        folders.append(directory / name)
    return folders


def check_formats(config: Config, task: Task, assembled: Assembled) -> None:
    """Before a training: whether a model such as this has the forms that `export.formats` names.

    Args:
        config: of the run.
        task: with its state.
        assembled: the model that is to be trained.

    Raises:
        UserError: it has not.
    """
    if config.export.enabled:
        for name in config.export.formats:
            if name in _CHECKS:
                _CHECKS[name](task, assembled)


def _words(check: Mapping[str, Any]) -> str:
    parts = [f"compared with Keras on {check['texts']} texts"]
    if "agreement" in check:
        parts.append(f"{check['agreement']:.1%} with the same answer")
    return ", ".join([*parts, f"largest difference {check['largest_difference']:.1e}"])


def _huggingface(run: Run, task: Task, assembled: Assembled, draft: Path) -> dict[str, Any]:
    write_huggingface(assembled, task, draft)
    return check_huggingface(assembled, task, draft, real_texts(run.folder, task))


def _litert(run: Run, task: Task, assembled: Assembled, draft: Path) -> dict[str, Any]:
    _check_litert(task, assembled)
    write_litert(assembled.model, draft)
    return _converted(run, task, assembled, draft)


def _check_litert(task: Task, assembled: Assembled) -> None:
    _check_converted("litert", task, assembled)


def _onnx(run: Run, task: Task, assembled: Assembled, draft: Path) -> dict[str, Any]:
    _check_onnx(task, assembled)
    write_onnx(assembled.model, draft)
    return _converted(run, task, assembled, draft)


def _check_onnx(task: Task, assembled: Assembled) -> None:
    check_installed("export.formats: onnx")
    _check_converted("onnx", task, assembled)


def _check_converted(form: str, task: Task, assembled: Assembled) -> None:
    if task.writes:
        raise UserError(
            f"export.formats: {form}: a {task.config.task.name} writes its answers token by token, which is not "
            f"converted; leave {form} out"
        )
    if "chain/transitions" in head_of(assembled):
        raise UserError(f"export.formats: {form}: task.crf is a chain of tags, which is not converted; leave it out")


def _converted(run: Run, task: Task, assembled: Assembled, draft: Path) -> dict[str, Any]:
    """Writes what a converted model needs beside it, and compares its answers with Keras'."""
    _save_preprocessor(assembled.preprocessor, draft / PREPROCESSOR)
    facts = {"config": run.config.model_dump(mode="json"), "state": task.state}
    (draft / FACTS).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
    texts = real_texts(run.folder, task)
    expected = Trained(task, assembled.preprocessor, assembled.model).answer(texts)
    answers = ConvertedExport.open(draft).load().answer(texts)
    same = same_answers(task, expected, answers)
    agreement = float(np.mean(same))
    differences = [largest_difference(expected[name], answers[name]) for name in expected]
    largest = float(np.max(differences, initial=0.0))  # NaN stays
    if agreement < LEAST_AGREEMENT or not np.isfinite(largest):
        raise ServableError(
            f"{draft.name}: {agreement:.0%} of {len(same)} texts have Keras' answer, fewer than {LEAST_AGREEMENT:.0%}"
        )
    return {"texts": len(same), "agreement": agreement, "largest_difference": largest}


def _save_preprocessor(preprocessor: Any, folder: Path) -> None:
    import tensorflow as tf

    module: Any = tf.Module(name="preprocessor")
    module.preprocessor = preprocessor
    specs = {name: tf.TensorSpec([None], tf.string, name=name) for name in preprocessor.inputs}
    features = tf.function(lambda **texts: preprocessor(texts), autograph=False).get_concrete_function(**specs)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": features})


def _gguf(run: Run, task: Task, assembled: Assembled, draft: Path) -> dict[str, Any]:
    _check_gguf(task, assembled)
    file = draft / f"{run.config.name}.gguf"
    write_gguf(file, assembled.backbone, assembled.tokenizer, run.config.name, run.config.model.max_length)
    return check_gguf(assembled, task, file, real_texts(run.folder, task))


def _check_gguf(task: Task, assembled: Assembled) -> None:
    check_llama(assembled.backbone, assembled.tokenizer)
    if not task.writes:
        raise UserError(
            f"export.formats: gguf: a {task.config.task.name} does not write texts, which is what llama.cpp does; "
            "leave gguf out"
        )


# What a model must be for a form, as far as it is known before a training.
_CHECKS: dict[str, Callable[[Task, Assembled], None]] = {
    "huggingface": has_form,
    "litert": _check_litert,
    "onnx": _check_onnx,
    "gguf": _check_gguf,
}
FORMATS: dict[str, Write] = {"huggingface": _huggingface, "litert": _litert, "onnx": _onnx, "gguf": _gguf}
