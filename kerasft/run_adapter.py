"""What a run has trained beside its frozen preset, as an adapter on disk."""

from __future__ import annotations

from pathlib import Path

from kerasft import __version__
from kerasft.assembly import Assembled, head_of
from kerasft.atomic import write_folder
from kerasft.peft.adapter_files import FOLDER, packing_of, write_adapter
from kerasft.peft.head_tensors import head_tensors
from kerasft.tasks.base import Task


def save_adapter(assembled: Assembled, task: Task, run: Path) -> Path:
    """Writes `adapter/` of a run: whole, or the one before stays.

    Args:
        assembled: with a method, and the weights to save.
        task: with its state.
        run: the run's folder.
    """
    folder = run / FOLDER
    with write_folder(folder) as draft:
        write_files(assembled, task, draft)
    return folder


def write_files(assembled: Assembled, task: Task, folder: Path) -> None:
    """Writes what the method of a model trained, with the head, as an adapter to a folder that exists."""
    method, config = assembled.method, task.config
    section = config.model.peft
    if method is None or section is None:
        raise ValueError("the model has no method of parameter-efficient fine-tuning")
    head, modules = head_tensors(assembled.model, assembled.backbone, head_of(assembled))
    settings = method.peft_config() | {
        "base_model_name_or_path": config.model.preset,
        # By the type PEFT makes its own class for the task, which looks for a head by its names, or fails.
        "task_type": task.peft_type if modules or task.writes else None,
        "modules_to_save": modules or None,
    }
    packing = packing_of(section)
    packed = {"packing": packing} if packing else {}
    facts = {
        "kerasft": __version__,
        "peft": section.model_dump(mode="json"),
        "base": {"preset": config.model.preset, "sha256": assembled.digests.get("base")} | packed,
        "tokenizer": {"sha256": assembled.digests.get("tokenizer")},
        "task": config.task.model_dump(mode="json"),
        "state": task.state,
        "labels": task.state.get("labels"),
        "max_length": config.model.max_length,
    }
    write_adapter(folder, settings, method.saved_tensors() | head, facts)
