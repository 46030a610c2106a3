"""What is done to a model before it trains, by its task and another run: see `kerasft.assembly.Start`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from kerasft.assembly import HEAD, Assembled, Start, head_of, load_facts
from kerasft.errors import UserError
from kerasft.models.growing_heads import grow_head
from kerasft.models.named_weights import load_variables
from kerasft.models.presets.facts import facts_file


def head_of_run(folder: Path) -> Start:
    """A start at which the head has the weights of a trained model's, such as a teacher's; another form is an error.

        train_run(config, start=head_of_run(Path("runs/old/model")))

    Args:
        folder: a run's `model/`, of the same task and labels, whose head reads vectors of the same width.

    Raises:
        UserError: at the start, the heads differ in their variables or shapes.
    """
    folder = Path(folder)

    def start(assembled: Assembled) -> Assembled:
        load_variables(folder / HEAD, head_of(assembled))
        return assembled

    return start


def grown_from(folder: Path, old_labels: Sequence[str] | None = None, dropped: Collection[str] = ()) -> Start:
    """A start at which the head takes over the labels of a trained model: more labels, or in another order.

    The backbone is the config's: with `model.preset: run:FOLDER` it is that of the same model, and the logits of old
    labels are those of the old model bit for bit before the first step. To keep their order too, name the labels in
    `task.labels`; see `growing_heads.old_labels_first`. `training.fit_head` would fit the head anew: leave it false.

        train_run(config, start=grown_from(Path("runs/old/model")))

    Args:
        folder: a run's `model/`.
        old_labels: the labels of its head, in their order; None: those that it was saved with.
        dropped: labels that may vanish; of others it is an error.

    Raises:
        UserError: at the start, for a folder that holds no such model, another task, labels that vanished, or a head of
            another form.
    """
    folder = Path(folder)

    def start(assembled: Assembled) -> Assembled:
        task = assembled.task
        if task is None:
            raise ValueError("a model that was assembled without its task has no names of labels")
        if not facts_file(folder).is_file():
            raise UserError(f"{folder}: is no model of a run; name its folder model/, such as runs/NAME/model")
        facts = load_facts(folder)
        if facts["task"] != task.config.task.name:
            raise UserError(f"{folder}: its head is of {facts['task']}; a head grows within its task alone")
        new = task.state.get("labels")
        old = facts["state"].get("labels") if old_labels is None else list(old_labels)
        if new is None or old is None:
            raise UserError(f"{folder}: a {facts['task']} without labels has no head that grows")
        names = [task.logit_names(labels) for labels in (old, new, list(dropped))]
        grow_head(folder / HEAD, head_of(assembled), *names)
        return assembled

    return start
