"""A model that writes one text from another: an encoder reads the input, a decoder says token by token what follows."""

from __future__ import annotations

from typing import NamedTuple

import keras
import keras_hub

from kerasft.errors import UserError
from kerasft.models.preprocessing.preprocessor import Layout


class EncoderDecoderLayout(NamedTuple):
    """Special tokens as ids: around an input, and those that a decoder reads before an output's first token."""

    encoder: Layout
    decoder_begin: tuple[int, ...]


class EncoderDecoderLM(keras.Model):
    """An encoder and a decoder with the token embedding, or what KerasHub keeps beside it, as the output layer.

    Call it with the backbone's inputs, KerasHub's names -> (batch, length of the outputs, vocabulary) float32 logits.

    BART: Lewis et al. 2019, arXiv:1910.13461. T5: Raffel et al. 2019, arXiv:1910.10683.

    Args:
        backbone: a KerasHub BART or T5.

    Raises:
        UserError: it is none that texts are written with here.
    """

    def __init__(self, backbone: keras.Model, **kwargs):
        check_encoder_decoder(backbone)
        super().__init__(backbone.input, output_logits(backbone, backbone.output["decoder_sequence_output"]), **kwargs)
        self.backbone = backbone


def output_logits(backbone: keras.Model, hidden: keras.KerasTensor) -> keras.KerasTensor:
    """(batch, ..., hidden) at the end of the decoder -> (batch, ..., vocabulary) float32."""
    if getattr(backbone, "tie_embedding_weights", False):  # the first T5's
        hidden *= backbone.hidden_dim**-0.5
    return keras.ops.cast(backbone.token_embedding(hidden, reverse=True), "float32")


def check_encoder_decoder(backbone: keras.Model) -> None:
    """Raises UserError where one text is not made of another with this backbone here."""
    if not isinstance(backbone, (keras_hub.models.BartBackbone, keras_hub.models.T5Backbone)):
        raise UserError(
            f"model.preset: seq2seq takes BART and T5 models, not a {type(backbone).__name__}; use one of these, or "
            "task.name text_generation for a decoder"
        )


def encoder_decoder_layout(backbone: keras.Model, tokenizer: keras_hub.tokenizers.Tokenizer) -> EncoderDecoderLayout:
    """The special tokens of a family, as KerasHub's seq2seq preprocessor of it has them.

    Raises:
        UserError: see `check_encoder_decoder`.
    """
    check_encoder_decoder(backbone)
    if isinstance(backbone, keras_hub.models.T5Backbone):
        end, pad = int(tokenizer.end_token_id), int(tokenizer.pad_token_id)
        return EncoderDecoderLayout(Layout((), (end,), (end,), pad), (pad,))
    start, end, pad = (int(getattr(tokenizer, f"{name}_token_id")) for name in ("start", "end", "pad"))
    return EncoderDecoderLayout(Layout((start,), (end,), (end,), pad), (end, start))
