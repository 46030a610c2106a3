"""Reading token by token gives what the backbone gives for the whole row; this fails when KerasHub's layers move."""

import numpy as np
import pytest
import tensorflow as tf
from support.decoders import MAKERS, strengthened

from kerasft.config.model import ModelConfig
from kerasft.errors import UserError
from kerasft.models.families import check_decoder
from kerasft.models.generation.cached_decoder import next_token_logits, read_prompt, read_token
from kerasft.models.heads.causal_lm import CausalLM
from kerasft.peft.registry import METHODS


@pytest.fixture(params=MAKERS)
def backbone(request):
    return strengthened(MAKERS[request.param]())


def test_token_by_token_is_the_whole_row(backbone):
    check_token_by_token(backbone)


@pytest.mark.parametrize(("name", "style"), [("gpt2", "houlsby"), ("llama", "parallel"), ("mistral", "pfeiffer")])
def test_adapters_that_stay_in_a_decoder_are_in_what_it_writes(name, style):
    backbone = strengthened(MAKERS[name]())
    config = ModelConfig(preset="x", peft={"method": "adapter", "style": style, "width": 3}).peft
    method = METHODS["adapter"](config, backbone, backbone, 0)
    ids = np.arange(1, 9, dtype=np.int32)[None]
    before = backbone({"token_ids": ids, "padding_mask": np.ones_like(ids)}).numpy()
    for variable in method.bank.weights:
        variable.assign(np.random.default_rng(2).normal(0, 0.4, variable.shape))
    after = backbone({"token_ids": ids, "padding_mask": np.ones_like(ids)}).numpy()
    assert np.abs(after - before).max() > 0.05
    check_token_by_token(backbone)


def check_token_by_token(backbone) -> None:
    ids = np.random.default_rng(1).integers(0, 50, (3, 11)).astype(np.int32)
    lengths = np.array([4, 7, 1], np.int32)
    wanted = CausalLM(backbone)({"token_ids": ids, "padding_mask": np.ones_like(ids)}).numpy()

    @tf.function(autograph=False)
    def logits_of(token_ids, lengths):
        hidden, cache = read_prompt(backbone, token_ids[:, :7], tf.constant(13))
        found = [next_token_logits(backbone, tf.gather(hidden, lengths - 1, batch_dims=1))]
        for step in range(4):  # each row goes on at its own place
            new = tf.gather(token_ids, lengths + step, batch_dims=1)
            hidden, cache = read_token(backbone, new, lengths + step, cache)
            found.append(next_token_logits(backbone, hidden))
        return tf.stack(found, axis=1)

    found = logits_of(tf.constant(ids), tf.constant(lengths)).numpy()
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(found[row], wanted[row, length - 1 : length + 4], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["gpt2", "llama", "mistral"])
def test_no_op_of_it_needs_xla(name):
    backbone = MAKERS[name]()

    @tf.function(autograph=False)
    def step(ids, places):
        _, cache = read_prompt(backbone, ids, tf.constant(9))
        return read_token(backbone, ids[:, 0], places, cache)[0]

    specs = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)
    graph = step.get_concrete_function(*specs).graph.as_graph_def()
    ops = {node.op for node in graph.node} | {node.op for f in graph.library.function for node in f.node_def}
    assert (
        "InplaceUpdate" in ops and "TensorScatterUpdate" not in ops and not [op for op in ops if op.startswith("Xla")]
    )


def test_other_families_are_refused(make_backbone):
    with pytest.raises(UserError, match="GPT-2, Llama and Mistral models here, not with a BertBackbone"):
        check_decoder(make_backbone("bert"))
