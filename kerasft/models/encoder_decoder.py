"""A model that writes one text from another: an encoder reads the input, a decoder says token by token what follows."""

from __future__ import annotations

from typing import NamedTuple

import keras
import keras_hub

from kerasft.errors import UserError
from kerasft.models.preprocessor import Layout


class EncoderDecoderLayout(NamedTuple):
    """Special tokens as ids: around an input, and those that a decoder reads before an output's first token."""

    encoder: Layout
    decoder_begin: tuple[int, ...]


class EncoderDecoderLM(keras.Model):
    """An encoder and a decoder with the token embedding as the output layer.

    Call it with the backbone's inputs, KerasHub's names -> (batch, length of the outputs, vocabulary) float32 logits.

    BART: Lewis et al. 2019, arXiv:1910.13461.

    Args:
        backbone: a KerasHub BART.

    Raises:
        UserError: it is none that texts are written with here.
    """

    def __init__(self, backbone: keras.Model, **kwargs):
        check_encoder_decoder(backbone)
        hidden = backbone.output["decoder_sequence_output"]
        logits = backbone.token_embedding(hidden, reverse=True)
        super().__init__(backbone.input, keras.ops.cast(logits, "float32"), **kwargs)
        self.backbone = backbone


def check_encoder_decoder(backbone: keras.Model) -> None:
    """Raises UserError where one text is not made of another with this backbone here."""
    if isinstance(backbone, keras_hub.models.T5Backbone):
        raise UserError(
            "model.preset: a T5 is not trained here: KerasHub's model is right, but a cached decoder with relative "
            "positions and text from SentencePiece tokens are missing; use a BART model"
        )
    if not isinstance(backbone, keras_hub.models.BartBackbone):
        raise UserError(
            f"model.preset: seq2seq takes BART models, not a {type(backbone).__name__}; use one of these, or task.name "
            "text_generation for a decoder"
        )


def encoder_decoder_layout(backbone: keras.Model, tokenizer: keras_hub.tokenizers.Tokenizer) -> EncoderDecoderLayout:
    """The special tokens of a family, as KerasHub's seq2seq preprocessor of it has them.

    Raises:
        UserError: see `check_encoder_decoder`.
    """
    check_encoder_decoder(backbone)
    start, end, pad = (int(getattr(tokenizer, f"{name}_token_id")) for name in ("start", "end", "pad"))
    return EncoderDecoderLayout(Layout((start,), (end,), (end,), pad), (end, start))
