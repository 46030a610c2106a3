"""Families of KerasHub's backbones: which of them decode, and which this package writes texts with."""

from __future__ import annotations

import keras
import keras_hub

from kerasft.errors import UserError


def is_decoder(backbone: keras.Model) -> bool:
    """Whether KerasHub has this family as a causal language model, so that only the last token has read all."""
    families = _subclasses(keras_hub.models.CausalLM)
    return any(isinstance(backbone, family.backbone_cls) for family in families if family.backbone_cls is not None)


def check_decoder(backbone: keras.Model) -> None:
    """Raises UserError where texts are not written with this backbone here."""
    models = keras_hub.models
    if not isinstance(backbone, (models.GPT2Backbone, models.LlamaBackbone, models.MistralBackbone)):
        raise UserError(
            "model.preset: texts are written with GPT-2, Llama and Mistral models here, not with a "
            f"{type(backbone).__name__}; use one of these"
        )


def check_encoder_decoder(backbone: keras.Model) -> None:
    """Raises UserError where one text is not made of another with this backbone here."""
    if not isinstance(backbone, (keras_hub.models.BartBackbone, keras_hub.models.T5Backbone)):
        raise UserError(
            f"model.preset: seq2seq takes BART and T5 models, not a {type(backbone).__name__}; use one of these, or "
            "task.name text_generation for a decoder"
        )


def _subclasses(parent: type) -> set[type]:
    direct = set(parent.__subclasses__())
    return direct.union(*(_subclasses(child) for child in direct))
