"""A model that writes one text from another: an encoder reads the input, a decoder says token by token what follows."""

from __future__ import annotations

import keras

from kerasft.models.families import check_encoder_decoder


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
