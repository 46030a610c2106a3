"""Prompts as a server gets them: cut at their start, the empty one, any bytes; and answers that are to be said."""

import numpy as np
import pytest
import tensorflow as tf

from kerasft.data.prepared.prepared import NO_TARGET
from kerasft.models.preprocessing.prompt_preprocessor import prompt_preprocessor
from kerasft.models.preprocessing.prompt_template import PromptTemplate
from kerasft.models.tokenizers.encoder import token_encoder

TEXTS = [
    "The quick brown fox, doesn't it? 12345 times!",
    "Ein schöner Straßenname\n\n  and  spaces ",
    "我们在北京大学学习中文 😀👍🏽",
    "",
]


@pytest.mark.parametrize("name", ["gpt2", "llama3"])
def test_prompts_keep_their_last_tokens(name, make_backbone, tiny_tokenizer):
    tokenizer = tiny_tokenizer(name)
    preprocessor = prompt_preprocessor(make_backbone(name), tokenizer, 16)
    found = tf.function(preprocessor, autograph=False)(
        {"prompt": tf.constant([*TEXTS, b"\xff\xfe abc", "a b c d e " * 30])}
    )
    ids, lengths = found["token_ids"].numpy(), found["lengths"].numpy()
    prefix = [] if name == "gpt2" else [tokenizer.start_token_id]
    encoded = tf.function(token_encoder(tokenizer), autograph=False)(
        tf.constant([*TEXTS, "\ufffd\ufffd abc", "a b c d e " * 30])
    )
    for row, length, whole in zip(ids, lengths, encoded.to_list()):
        assert row[:length].tolist() == ([*prefix, *whole][-15:] or [tokenizer.end_token_id])
    assert lengths.min() == 1 and lengths.max() == 15 == ids.shape[1]


def test_a_batch_of_nothing_and_an_empty_prompt(make_backbone, tiny_tokenizer):
    preprocessor = tf.function(prompt_preprocessor(make_backbone("gpt2"), tiny_tokenizer("gpt2"), 16), autograph=False)
    assert preprocessor({"prompt": tf.constant([""])})["token_ids"].shape == (1, 1)
    assert preprocessor({"prompt": tf.zeros([0], tf.string)})["token_ids"].shape == (0, 1)


def test_a_document_is_said_from_its_begin_to_its_end(make_backbone, tiny_tokenizer):
    tokenizer = tiny_tokenizer("llama3")
    preprocessor = prompt_preprocessor(make_backbone("llama3"), tokenizer, 16)
    pairs = preprocessor.pairs(np.array([7, 8], np.int32))
    start, end = tokenizer.start_token_id, tokenizer.end_token_id
    assert pairs.tolist() == [[start, 7], [7, 8], [8, end]]


@pytest.mark.parametrize("name", ["gpt2", "llama3"])
@pytest.mark.parametrize(
    ("prompt", "answer", "kept", "said"),
    [
        ([40, 41, 42], [50, 51], [40, 41, 42], [50, 51, "end"]),
        ([], [50], ["begin"], [50, "end"]),
        ([40], [], [40], ["end"]),
        (list(range(40, 52)), [60, 61, 62], list(range(47, 52)), [60, 61, 62, "end"]),  # as a server cuts it
        ([40, 41], list(range(50, 57)), [41], [*range(50, 57), "end"]),
        ([40, 41], list(range(50, 58)), [41], list(range(50, 58))),  # no room for its end
        ([40, 41], list(range(50, 70)), [41], list(range(50, 58))),
    ],
)
def test_answers_are_said_and_prompts_are_not(name, prompt, answer, kept, said, make_backbone, tiny_tokenizer):
    """Token by token: what is read, and what is to be said behind each."""
    tokenizer = tiny_tokenizer(name)
    preprocessor = prompt_preprocessor(make_backbone(name), tokenizer, 8)
    special = {"end": tokenizer.end_token_id, "begin": tokenizer.start_token_id}
    row, full = preprocessor.answered(np.array(prompt, np.int32), np.array(answer, np.int32))
    start = [tokenizer.start_token_id] if name == "llama3" else []
    kept = [special.get(token, token) for token in kept]
    if name == "llama3":
        kept = (start + prompt)[-max(1, 8 - len(answer)) :]
    said = [special.get(token, token) for token in said]
    if len(kept) + len(said) - 1 > 8:
        said = said[: 8 - len(kept) + 1]
    assert row[:, 0].tolist() == (kept + said)[: len(row)] and len(row) == len(kept) + len(said) - 1 <= 8
    assert row[:, 1].tolist() == [NO_TARGET] * (len(kept) - 1) + said
    assert full == max(1, len(start + prompt)) + len(answer)


def test_a_template_is_joined_in_the_graph(make_backbone, tiny_tokenizer):
    template = PromptTemplate("Do {instruction} {{x}} with\n{input}: ", ["instruction", "input"])
    columns = {"instruction": ["the quick", ""], "input": ["brown", "我们 \xff"]}
    wanted = [template.render(dict(zip(columns, row))) for row in zip(*columns.values())]
    assert wanted[0] == "Do the quick {x} with\nbrown: "
    made = prompt_preprocessor(
        make_backbone("gpt2"), tiny_tokenizer("gpt2"), 32, ("instruction", "input"), template.join
    )
    plain = prompt_preprocessor(make_backbone("gpt2"), tiny_tokenizer("gpt2"), 32)
    found = tf.function(made, autograph=False)({name: tf.constant(values) for name, values in columns.items()})
    expected = tf.function(plain, autograph=False)({"prompt": tf.constant(wanted)})
    assert found["token_ids"].numpy().tolist() == expected["token_ids"].numpy().tolist()
