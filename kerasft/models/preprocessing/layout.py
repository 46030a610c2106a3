"""Where a family's special tokens stand, as ids."""

from __future__ import annotations

from typing import NamedTuple

import keras
import keras_hub

from kerasft.models.families import check_encoder_decoder


class Layout(NamedTuple):
    """The special tokens around and between texts, as ids."""

    start: tuple[int, ...]
    separator: tuple[int, ...]
    end: tuple[int, ...]
    pad: int


class EncoderDecoderLayout(NamedTuple):
    """Special tokens as ids: around an input, and those that a decoder reads before an output's first token."""

    encoder: Layout
    decoder_begin: tuple[int, ...]


def special_token_layout(backbone: keras.Model, tokenizer: keras_hub.tokenizers.Tokenizer) -> Layout:
    """The special tokens of a family: those of KerasHub's classifier preprocessor, where the family has one.

    For other families (ELECTRA, decoders) the tokenizer's own: its start token unless that is the end token too
    (GPT-2), and its end token after each text.
    """
    for family in vars(keras_hub.models).values():
        if (
            isinstance(family, type)
            and issubclass(family, keras_hub.models.TextClassifierPreprocessor)
            and family.backbone_cls is type(backbone)
        ):
            # KerasHub makes the packer in `build`, whose argument it does not read (0.25 to 0.32).
            preprocessor = family(tokenizer)
            preprocessor.build(None)
            packer = preprocessor.packer
            values = (packer.start_value, packer.sep_value, packer.end_value)
            return Layout(*(tuple(int(i) for i in value) for value in values), pad=int(packer.pad_value))
    end = (int(tokenizer.end_token_id),)
    start = (int(tokenizer.start_token_id),)
    return Layout(() if start == end else start, end, end, int(tokenizer.pad_token_id))


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
