"""`export.formats: huggingface`: a folder that transformers, or sentence-transformers, loads with the same outputs.

A head that transformers has is written under its names: BERT's and RoBERTa's classifiers, tags, answer spans. A
classifier on the mean or the first token, and an embedder, are written as modules of sentence-transformers, whose
`encode` gives the logits, or the vectors. A head that tells a number gives it in the units of the data. The folder is
read again by this package before it appears.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from safetensors.numpy import save_file

from kerasft.assembly import Assembled, head_of, with_head
from kerasft.errors import ServableError, UserError
from kerasft.models.heads.pooling import Pooling
from kerasft.models.presets.huggingface_export import huggingface_config, huggingface_tensors, model_type_of
from kerasft.models.presets.huggingface_tokenizer_export import write_tokenizer
from kerasft.models.presets.presets import load_backbone, load_tokenizer
from kerasft.tasks.base import Task

TOLERANCE = 1e-4
WEIGHTS, CONFIG = "model.safetensors", "config.json"
_CLASSIFIER = {"classifier/kernel": "classifier.weight", "classifier/bias": "classifier.bias"}
_ROBERTAS = {
    "pooler/kernel": "classifier.dense.weight",
    "pooler/bias": "classifier.dense.bias",
    "classifier/kernel": "classifier.out_proj.weight",
    "classifier/bias": "classifier.out_proj.bias",
}
_SPANS = {"answer/kernel": "qa_outputs.weight", "answer/bias": "qa_outputs.bias"}
_BEGINNINGS = {"bert": "Bert", "roberta": "Roberta", "xlm-roberta": "XLMRoberta", "distilbert": "DistilBert"}
_LINEAR = {"classifier/kernel": "linear.weight", "classifier/bias": "linear.bias"}


class Head(NamedTuple):
    """What of a head goes where.

    Attributes:
        architecture: transformers' class without its family, such as `ForTokenClassification`; "Model": none.
        names: path -> name in model.safetensors, or of the dense module.
        modules: whether it is modules of sentence-transformers.
        unit: whether one of them makes the vector of a text of length 1.
    """

    architecture: str
    names: Mapping[str, str]
    modules: bool = False
    unit: bool = False


def write_huggingface(assembled: Assembled, task: Task, folder: Path) -> None:
    """Writes the model to a folder that exists.

    Raises:
        UserError: family, tokenizer or head have no form there.
    """
    has_form(task, assembled)
    config, tensors = huggingface_config(assembled.backbone), huggingface_tensors(assembled.backbone)
    kind = config["model_type"]
    head = head_form(assembled, kind)
    values = {path: np.asarray(keras.ops.convert_to_numpy(variable)) for path, variable in head_of(assembled).items()}
    values = _in_units(values, *task.units)
    of_head = {name: np.ascontiguousarray(values[path].T, np.float32) for path, name in head.names.items()}
    config |= _names_of_logits(assembled, task, head)
    config |= {"architectures": [f"{_BEGINNINGS[kind]}{head.architecture}"], "torch_dtype": "float32"}
    in_one = tensors if head.modules else {**tensors, **of_head}
    save_file({name: np.ascontiguousarray(value) for name, value in in_one.items()}, folder / WEIGHTS, {"format": "pt"})
    _write(folder / CONFIG, config)
    write_tokenizer(folder, assembled.tokenizer, kind, task.config.model.max_length)
    if head.modules:
        _write_modules(assembled, task, of_head, head.unit, folder)


def has_form(task: Task, assembled: Assembled) -> None:
    """Raises UserError where a model such as this has no form there."""
    head_form(assembled, model_type_of(assembled.backbone))
    if assembled.parts:
        raise UserError(
            f"export.formats: huggingface: the model has the part {assembled.parts[0].name}, which would be lost; "
            "leave huggingface out"
        )


def head_form(assembled: Assembled, kind: str) -> Head:
    """Where the head of a model goes. Raises UserError: it has no form there."""
    paths = set(head_of(assembled))
    pools = any(isinstance(layer, Pooling) for layer in assembled.model._flatten_layers())
    rank = len(assembled.model.output_shape) if paths else 0
    unit = any(isinstance(layer, keras.layers.UnitNormalization) for layer in assembled.model._flatten_layers())
    if not paths and pools:
        return Head("Model", {}, True, unit)
    if paths == set(_SPANS):
        return Head("ForQuestionAnswering", _SPANS)
    if paths == set(_CLASSIFIER) and rank == 3:
        return Head("ForTokenClassification", _CLASSIFIER)
    if paths == set(_CLASSIFIER) and pools:
        return Head("Model", _LINEAR, True, unit)
    if paths == set(_CLASSIFIER) and kind == "bert":
        return Head("ForSequenceClassification", _CLASSIFIER)
    if paths == set(_ROBERTAS) and "roberta" in kind:
        return Head("ForSequenceClassification", _ROBERTAS)
    raise UserError(
        "export.formats: huggingface: transformers has no head such as this model's "
        f"({', '.join(sorted(paths))}); leave huggingface out"
    )


def _names_of_logits(assembled: Assembled, task: Task, head: Head) -> dict[str, Any]:
    """What config.json says of the logits: how many, their names, and what a pipeline makes of them."""
    facts: dict[str, Any] = {}
    labels = task.state.get("labels")
    if labels is not None:
        names = task.logit_names(labels)
    else:  # transformers takes two, where there are no names
        names = [f"LABEL_{i}" for i in range(assembled.model.output_shape[-1] if head.names else 0)]
    if names:
        facts["id2label"] = {str(i): name for i, name in enumerate(names)}
        facts["label2id"] = {name: i for i, name in enumerate(names)}
    if task.problem_type is not None and head.names:
        facts["problem_type"] = task.problem_type
    return facts


def _in_units(head: Mapping[str, np.ndarray], deviation: float, mean: float) -> dict[str, np.ndarray]:
    """The last layer of a head, whose logits are multiplied and moved so."""
    moved = dict(head)
    if (deviation, mean) != (1.0, 0.0):
        moved["classifier/kernel"] = head["classifier/kernel"] * deviation
        moved["classifier/bias"] = head["classifier/bias"] * deviation + mean
    return moved


def _write_modules(assembled: Assembled, task: Task, head: Mapping[str, np.ndarray], unit: bool, folder: Path) -> None:
    """The modules of sentence-transformers behind the backbone: pooling, unit length, and a dense layer."""
    width = int(assembled.backbone.hidden_dim)
    method = next(layer for layer in assembled.model._flatten_layers() if isinstance(layer, Pooling)).method
    if method not in ("mean", "cls"):
        raise UserError(f"export.formats: huggingface: pooling {method} has no module there; leave huggingface out")
    kinds = ["Transformer", "Pooling", *(["Normalize"] if unit else []), *(["Dense"] if head else [])]
    names = ["", *(f"{i}_{kind}" for i, kind in enumerate(kinds) if i)]
    modules = [
        {"idx": i, "name": str(i), "path": name, "type": f"sentence_transformers.models.{kind}"}
        for i, (name, kind) in enumerate(zip(names, kinds))
    ]
    for name in names[1:]:
        (folder / name).mkdir()
    _write(folder / "modules.json", modules)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": task.config.model.max_length})
    pooling = {f"pooling_mode_{mode}_token{'s' * (mode == 'mean')}": mode == method for mode in ("cls", "mean")}
    _write(folder / names[1] / CONFIG, {"word_embedding_dimension": width, **pooling})
    if head:
        outputs = head["linear.bias"].shape[0]
        activation = "torch.nn.modules.linear.Identity"
        dense = {"in_features": width, "out_features": outputs, "bias": True, "activation_function": activation}
        _write(folder / names[-1] / CONFIG, dense)
        save_file(dict(head), folder / names[-1] / WEIGHTS, {"format": "pt"})


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def check_huggingface(assembled: Assembled, task: Task, folder: Path, texts: Mapping[str, list[str]]) -> dict[str, Any]:
    """Reads the folder again as any other preset in this form, and compares logits on real texts.

    Returns:
        How many texts there were, and the largest difference.

    Raises:
        ServableError: the logits differ by more than 1e-4, or numbers by more than that share of their deviation.
    """
    from safetensors.numpy import load_file

    again = with_head(task, load_backbone(str(folder)), load_tokenizer(str(folder)))
    head = head_form(assembled, json.loads((folder / CONFIG).read_text(encoding="utf-8"))["model_type"])
    dense = f"{3 if head.unit else 2}_Dense"
    file = folder / dense / WEIGHTS if head.modules and head.names else folder / WEIGHTS
    saved, variables = load_file(file), head_of(again)
    for path, name in head.names.items():
        variables[path].assign(saved[name].T)
    deviation, mean = task.units
    one, other = _logits(assembled, texts) * deviation + mean, _logits(again, texts)
    if one.shape != other.shape:
        raise ServableError(f"huggingface: texts become {other.shape} logits, and {one.shape} in Keras")
    largest = float(np.abs(one - other).max(initial=0.0))
    if not largest <= TOLERANCE * deviation:
        raise ServableError(
            f"huggingface: logits differ by {largest:.2g} from Keras', more than {TOLERANCE * deviation:g}"
        )
    return {"texts": len(next(iter(texts.values()))), "largest_difference": largest}


def _logits(assembled: Assembled, texts: Mapping[str, list[str]]) -> np.ndarray:
    columns = {name: tf.constant(rows) for name, rows in texts.items()}
    features = tf.function(assembled.preprocessor, autograph=False)(columns)
    inputs = {name: features[name] for name in (tensor.name for tensor in assembled.backbone.inputs)}
    return assembled.model(inputs, training=False).numpy()
