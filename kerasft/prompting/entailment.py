"""Whether a text entails what a label's text says: a pair classifier answers for each label (Yin et al. 2019,
arXiv:1909.00161).

The classifier is a run of ours that was trained on pairs, such as premises with hypotheses. Its label of what follows
from a text gives the score: its log-probability. A text is read once a label, with the label's hypothesis behind it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import yaml
from keras import ops

from kerasft.errors import UserError
from kerasft.models.heads.text_classifier import build_classifier
from kerasft.models.named_weights import by_path, load_variables
from kerasft.models.preprocessing.preprocessor import TextPreprocessor, text_preprocessor
from kerasft.models.presets.facts import HEAD_FILE, facts_file
from kerasft.models.presets.presets import resolve_preset
from kerasft.models.tokenizers.encoder import token_encoder
from kerasft.prompting.base import Labels, PromptingMethod
from kerasft.prompting.calibration import BIAS, LabelBias
from kerasft.prompting.template_preprocessor import LEAST, token_ids
from kerasft.prompting.templates import LABEL, Template
from kerasft.prompting.verbalizers import check_distinct
from kerasft.quoting import quoted

KEY = "prompting.entails"
OF_HEAD = ("classifier", "pooler")  # layers that a classifier has on its backbone


class Entailment(PromptingMethod):
    """A pair classifier, and one hypothesis or several for each label."""

    name = "entailment"
    template = "This text is about {label}."

    def adapt(self, backbone: keras.Model, tokenizer: Any, labels: Labels) -> None:
        if len(self.inputs) > 1:
            raise UserError("prompting.method: entailment reads one text; leave data.columns.text_pair out")
        self.state["pairs"] = pair_classifier(Path(resolve_preset(str(self.model.preset))), self.section.entails)
        plain = text_preprocessor(backbone, tokenizer, self.model.max_length, ("text", "text_pair"))
        template = Template.parse(self.text_template(), (LABEL,))
        encoder = token_encoder(tokenizer)
        texts = [[template.fill({LABEL: text}) for text in own] for own in labels.texts]
        flat = iter(token_ids(encoder, [text for own in texts for text in own]))
        ids = [[next(flat) for _ in own] for own in texts]
        check_distinct(Labels(labels.names, texts), ids, getattr(encoder, "unknown_id", None))
        layout = plain.layout
        self.state["layout"] = {"separator": list(layout.separator), "pad": layout.pad}
        self.state["hypotheses"] = [[[*tokens, *layout.end] for tokens in own] for own in ids]

    def build(self, backbone: keras.Model, labels: int) -> keras.Model:
        pairs = self.state["pairs"]
        classifier = build_classifier(backbone, len(pairs["labels"]), pairs["pooling"], self.model.dropout)
        scores = Hypotheses(self.state["hypotheses"], self.state["layout"]["pad"])(classifier.input)
        chosen = EntailmentScores(self.state["hypotheses"], pairs["labels"].index(pairs["entails"]))
        logits = LabelBias(name=BIAS)(chosen(classifier(scores)))
        return keras.Model(classifier.input, logits, name="entailment")

    def preprocessor(self, backbone: keras.Model, tokenizer: Any) -> Any:
        room = max(len(tokens) for own in self.state["hypotheses"] for tokens in own)
        plain = text_preprocessor(backbone, tokenizer, self.model.max_length, self.inputs)
        layout = plain.layout._replace(end=tuple(self.state["layout"]["separator"]))  # a hypothesis follows
        left = self.model.max_length - room
        if left - len(layout.start) - len(layout.end) < LEAST:
            raise UserError(
                f"model.max_length: {self.model.max_length} leaves no room for texts beside the {room} tokens of "
                "prompting.template and labels; raise it, or write a shorter template"
            )
        return TextPreprocessor(plain.encoder, layout, plain.pad_values, left, self.inputs)

    def load(self, model: keras.Model, preset: str, preprocessor: Any, labels: Labels) -> None:
        own = {path: weight for path, weight in by_path(model.weights).items() if path.split("/")[0] in OF_HEAD}
        load_variables(Path(preset) / HEAD_FILE, own)

    def set_bias(self, model: keras.Model, bias: np.ndarray) -> None:
        model.get_layer(BIAS).bias.assign(bias)


def pair_classifier(folder: Path, entails: str) -> dict[str, Any]:
    """What a run of pairs says of itself: its `labels`, its `pooling`, and which label `entails`.

    Args:
        folder: its `model/`.
        entails: of the config.

    Raises:
        UserError: it is no classifier of pairs, or has no such label.
    """
    file, settings = facts_file(folder), folder.parent / "config.yaml"
    facts = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    config = yaml.safe_load(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    if facts.get("task") != "text_classification" or "text_pair" not in config.get("data", {}).get("columns", {}):
        raise UserError(
            f"model.preset: {folder}: prompting.method entailment asks a run of ours that classifies pairs "
            "(text_classification with data.columns.text_pair); name its folder, such as run:runs/NAME"
        )
    labels = facts["state"].get("labels", [])
    if config["task"].get("problem", "single_label") != "single_label" or entails not in labels:
        names = ", ".join(map(quoted, labels[:5]))
        raise UserError(
            f"{KEY}: {quoted(entails)} is no label of {folder}, which has {names}; name the one that says so"
        )
    return {"labels": labels, "pooling": config["task"].get("pooling", "auto"), "entails": entails}


@keras.saving.register_keras_serializable(package="kerasft")
class Hypotheses(keras.layers.Layer):
    """A backbone's inputs of (batch, length) -> those of (batch * hypotheses, length + longest), as pairs.

    Args:
        ids: label -> its hypotheses -> token ids, the end among them.
        pad: id that fills rows up.
    """

    def __init__(self, ids: list[list[list[int]]], pad: int, **kwargs):
        super().__init__(**kwargs)
        flat = [tokens for own in ids for tokens in own]
        self.counts, self.pad = np.array([len(tokens) for tokens in flat], np.int32), pad
        self.table = np.full((len(flat), max(self.counts)), pad, np.int32)
        for row, tokens in zip(self.table, flat):
            row[: len(tokens)] = tokens

    def call(self, inputs):
        mask = ops.cast(inputs["padding_mask"], "int32")  # (batch, length)
        hypotheses, longest = self.table.shape
        length = ops.shape(mask)[1] + longest
        places = ops.expand_dims(ops.arange(length, dtype="int32"), 0)  # (1, length)
        own = ops.expand_dims(ops.sum(mask, axis=1), 1)  # (batch, 1): tokens of a text
        behind = ops.expand_dims(ops.clip(places - own, 0, longest - 1), 1)  # (batch, 1, length)
        table = ops.expand_dims(ops.convert_to_tensor(self.table), 0)  # (1, hypotheses, longest)
        shape = (ops.shape(mask)[0], hypotheses, length)
        words = ops.take_along_axis(
            ops.broadcast_to(table, (shape[0], hypotheses, longest)), ops.broadcast_to(behind, shape), 2
        )
        first = ops.expand_dims(places < own, 1)  # (batch, 1, length)
        ends = ops.expand_dims(own, 1) + ops.reshape(ops.convert_to_tensor(self.counts), (1, hypotheses, 1))
        second = ops.logical_and(ops.logical_not(first), ops.expand_dims(places, 0) < ends)
        padded = ops.pad(inputs["token_ids"], [[0, 0], [0, longest]], constant_values=self.pad)
        outputs = {
            "token_ids": ops.where(
                first, ops.expand_dims(ops.cast(padded, "int32"), 1), ops.where(second, words, self.pad)
            ),
            "padding_mask": ops.cast(ops.logical_or(first, second), "int32"),
            "segment_ids": ops.cast(second, "int32"),
        }  # (batch, hypotheses, length) each
        return {name: ops.reshape(outputs[name], (-1, length)) for name in inputs}


@keras.saving.register_keras_serializable(package="kerasft")
class EntailmentScores(keras.layers.Layer):
    """(batch * hypotheses, classes) logits of pairs -> (batch, labels): the mean over a label's hypotheses.

    Args:
        ids: as of `Hypotheses`.
        column: of the class that says that a hypothesis follows.
    """

    def __init__(self, ids: list[list[list[int]]], column: int, **kwargs):
        super().__init__(**kwargs)
        self.column = column
        owners = np.repeat(np.arange(len(ids)), [len(own) for own in ids])
        self.share = np.zeros((len(owners), len(ids)), np.float32)
        self.share[np.arange(len(owners)), owners] = 1.0 / np.array([len(ids[owner]) for owner in owners])

    def call(self, logits):
        likely = logits[:, self.column] - ops.logsumexp(logits, axis=-1)
        return ops.matmul(ops.reshape(likely, (-1, len(self.share))), ops.convert_to_tensor(self.share))
