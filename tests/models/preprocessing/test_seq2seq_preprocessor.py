"""Special tokens stand where KerasHub's own preprocessor of BART puts them; what begins an output is not learnt."""

import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from tiny_bart import POSITIONS, TEXTS, make_bart

from kerasft.data.prepared.prepared import NO_TARGET
from kerasft.errors import UserError
from kerasft.models.preprocessing.prompt_template import PromptTemplate
from kerasft.models.preprocessing.seq2seq_preprocessor import seq2seq_preprocessor

TEMPLATE = PromptTemplate("{input}", ("input",))


def reader(length=POSITIONS, output_length=POSITIONS, parts=None):
    return seq2seq_preprocessor(*(parts or make_bart()), length, output_length, ("input",), TEMPLATE.join)


@pytest.mark.parametrize("length", [6, POSITIONS])
def test_both_sides_are_those_of_kerashub(length):
    parts = make_bart()
    made = reader(length, length, parts)
    theirs = keras_hub.models.BartSeq2SeqLMPreprocessor(parts[1], length, length)
    wanted, targets, weights = theirs({"encoder_text": TEXTS[:2], "decoder_text": TEXTS[:2]})
    found = made({"input": tf.constant(TEXTS[:2])})
    for row, (text, ids) in enumerate(zip(TEXTS, found["encoder_token_ids"].numpy())):
        count = found["encoder_padding_mask"].numpy()[row].sum()
        assert ids[:count].tolist() == wanted["encoder_token_ids"][row].numpy()[: len(ids)][:count].tolist()
        read, full = made.taught(made.tokens(tf.constant([text]))[0].numpy())
        assert read[:, 0].tolist() == wanted["decoder_token_ids"][row].numpy()[: len(read)].tolist()
        said = targets[row].numpy()[: len(read)].tolist()
        if full <= length:  # KerasHub ends what it cuts; here an output that goes on is not said to end
            assert read[:, 1].tolist() == [NO_TARGET, *said[1:]]
            assert (read[1:, 1] >= 0).sum() == weights[row].numpy().sum() - 1
        else:
            assert len(read) == length and read[:-1, 1].tolist() == [NO_TARGET, *said[1:-1]]
            assert read[-1, 1] != parts[1].end_token_id


def test_texts_of_any_kind():
    made = reader()
    found = tf.function(made, autograph=False)({"input": tf.constant([b"", b"\xff\xfe", b"a" * 100])})
    assert found["encoder_padding_mask"].numpy().sum(1).tolist()[0] == 2  # start and end
    assert found["encoder_token_ids"].shape[1] == POSITIONS
    empty, full = made.taught(np.empty(0, np.int32))
    assert empty[:, 1].tolist() == [NO_TARGET, made.end] and full == 2


def test_more_than_the_positions_of_a_model():
    with pytest.raises(UserError, match="model.max_length: 13 is more than the 12 positions"):
        reader(length=13)
    with pytest.raises(UserError, match="task.max_output_length: 13 is more than the 12 positions"):
        reader(output_length=13)
