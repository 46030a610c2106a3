"""The head of a masked language model, from where a preset has it: Hugging Face's checkpoint, or a run of ours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from kerasft.errors import UserError
from kerasft.models.named_weights import assign_variables, by_path, read_variables
from kerasft.models.presets.facts import HEAD_FILE, facts_file
from kerasft.models.presets.huggingface_files import HF_PREFIX
from kerasft.models.presets.weight_files import check_finite

HEAD = "masked_lm_head"  # the layer's name
UNSAID = -1e4  # the bias of tokens that are never an answer, such as those of a soft prompt
WEIGHTS = "model.safetensors"
# Dense kernel and bias, normalisation scale and offset, and the output's bias, as families of transformers call them.
_NAMES = (
    (
        "cls.predictions.transform.dense.weight",
        "cls.predictions.transform.dense.bias",
        "cls.predictions.transform.LayerNorm.weight",
        "cls.predictions.transform.LayerNorm.bias",
        "cls.predictions.bias",
    ),
    ("lm_head.dense.weight", "lm_head.dense.bias", "lm_head.layer_norm.weight", "lm_head.layer_norm.bias")
    + ("lm_head.bias",),
    ("predictions.dense.weight", "predictions.dense.bias", "predictions.LayerNorm.weight", "predictions.LayerNorm.bias")
    + ("predictions.bias",),
    ("vocab_transform.weight", "vocab_transform.bias", "vocab_layer_norm.weight", "vocab_layer_norm.bias")
    + ("vocab_projector.bias",),
)
# The output layer, where a file has it beside the token embedding.
_OUTPUTS = ("cls.predictions.decoder.weight", "lm_head.decoder.weight", "predictions.decoder.weight") + (
    "vocab_projector.weight",
)
_OLD_NAMES = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}


def load_head(model: keras.Model, resolved: str, added: Sequence[int] = ()) -> bool:
    """Gives a `MaskedLM` the head of its preset. A preset without one leaves it as it is.

    Args:
        model: a `MaskedLM`.
        resolved: what `resolve_preset` returned.
        added: ids of tokens that the preset has not, which are never to be an answer.

    Returns:
        Whether the preset has a head.

    Raises:
        UserError: its head has other shapes than its backbone, an output layer that is not the token embedding, or
            numbers that are none.
    """
    head = model.get_layer(HEAD)
    tied = {id(variable) for variable in head.token_embedding.variables}
    variables = [variable for variable in head.weights if id(variable) not in tied]
    if _is_masked_lm(Path(resolved)):
        _load_own(Path(resolved) / HEAD_FILE, variables, added)
        return True
    table = keras.ops.convert_to_numpy(head.token_embedding.embeddings)
    values = _from_hugging_face(resolved, np.asarray(table), added)
    if values is None:
        return False
    values[0] = _with_added(values[0], variables[0], added)
    shapes = [tuple(variable.shape) for variable in variables], [value.shape for value in values]
    if shapes[0] != shapes[1]:
        raise UserError(
            f"model.preset: {resolved}: its masked language model head has the shapes {shapes[1]}, but its backbone "
            f"needs {shapes[0]}; fetch the model again"
        )
    for variable, value in zip(variables, values):
        variable.assign(value)
    return True


def _load_own(file: Path, variables: list[keras.Variable], added: Sequence[int]) -> None:
    named = by_path(variables)
    bias = next(iter(named))
    values = read_variables(file, list(named))
    if bias in values:
        values[bias] = _with_added(values[bias], variables[0], added)
    assign_variables(file, values, named)


def _with_added(bias: np.ndarray, variable: keras.Variable, added: Sequence[int]) -> np.ndarray:
    """The output's bias, in which added tokens have UNSAID, whether or not the preset's table had room for them."""
    size = variable.shape[0]
    if set(range(len(bias), size)) <= set(added):  # otherwise whoever assigns it says what is wrong
        bias = np.pad(bias, (0, max(0, size - len(bias))))
        bias[list(added)] = UNSAID
    return bias


def _without(table: np.ndarray, added: Sequence[int]) -> np.ndarray:
    """The rows of a table but those of added tokens."""
    return np.delete(table, [row for row in added if row < len(table)], axis=0)


def _is_masked_lm(folder: Path) -> bool:
    """Whether the folder is the `model/` of a run of this task."""
    facts = facts_file(folder)
    return facts.is_file() and json.loads(facts.read_text(encoding="utf-8")).get("task") == "masked_lm"


def _from_hugging_face(resolved: str, table: np.ndarray, added: Sequence[int]) -> list[np.ndarray] | None:
    path = _weights_file(resolved)
    if path is None:
        return None
    from safetensors import safe_open

    with safe_open(str(path), "np") as saved:
        all_names = set(saved.keys())
        for name in all_names & set(_OUTPUTS):
            output = saved.get_tensor(name).astype(np.float32)
            if not np.array_equal(_without(output, added), _without(table, added)):
                raise UserError(
                    f"model.preset: {path}: its output layer, {name}, is not its token embedding, and the head here "
                    "has that one there; use a model whose word embeddings are tied"
                )
        for names in _NAMES:
            head_names = [name if name in all_names else _old_name(name) for name in names]
            if all_names.issuperset(head_names):
                kernel, *others, bias = (saved.get_tensor(name).astype(np.float32) for name in head_names)
                for name, value in zip(head_names, (kernel, *others, bias)):
                    check_finite(value, f"{path}: {name}")
                # As KerasHub's layer has them; PyTorch's dense layers are (outputs, inputs).
                return [bias, kernel.T, *others]
    return None


def _old_name(name: str) -> str:
    return next((name.replace(new, old) for new, old in _OLD_NAMES.items() if name.endswith(new)), name)


def _weights_file(resolved: str) -> Path | None:
    """None where the weights are in several files, too: models with this head are small."""
    if resolved.startswith(HF_PREFIX):
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError

        try:
            return Path(hf_hub_download(resolved.removeprefix(HF_PREFIX), WEIGHTS))
        except EntryNotFoundError:
            return None
    path = Path(resolved) / WEIGHTS
    return path if path.is_file() else None
