"""A token classifier in Keras alone: from a preset, by `fit`, to entities with offsets."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.rarely import rarely

from kerasft.models.heads.token_classifier import TokenClassifier

NAMES = ("oil", "bank", "cup", "goal")


def rows(count: int) -> dict:
    """Texts of some plain words and some that are entities, the first two of one type and the others of another."""
    random = np.random.default_rng(0)
    texts, tags = [], []
    for _ in range(count):
        words = [str(word) for word in random.choice([*NAMES, "the", "a", "in", "of"], random.integers(2, 9))]
        texts.append(" ".join(words))
        tags.append([1 + 2 * (NAMES.index(word) // 2) if word in NAMES else 0 for word in words])
    return {"text": tf.constant(texts), "tags": tf.ragged.constant(tags, dtype=tf.int32)}


@pytest.mark.parametrize("crf", rarely(False, True))
def test_it_learns_by_fit_and_answers_with_offsets(tiny_preset, crf):
    keras.utils.set_random_seed(0)
    model = TokenClassifier.from_preset(str(tiny_preset), ["money", "sport"], max_length=12, stride=2, crf=crf)
    data = tf.data.Dataset.from_tensor_slices(rows(128)).batch(16).map(model.examples).cache()
    model.compile(keras.optimizers.Adam(1e-2), model.token_loss, jit_compile=False)
    losses = model.fit(data, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 4
    text = "the cup  of oil in a bank"
    found = {name: values[0].numpy().tolist() for name, values in model.answer([text]).items()}
    assert found["types"] == [b"sport", b"money", b"money"]
    assert [text[start:end] for start, end in zip(found["starts"], found["ends"])] == ["cup", "oil", "bank"]


def test_every_tag_is_a_target_once_or_where_windows_overlap_again(tiny_preset):
    model = TokenClassifier.from_preset(str(tiny_preset), ["a", "b"], max_length=8, stride=2)
    given = {
        "text": tf.constant(["oil in the bank of the cup a goal in oil", ""]),
        "tags": tf.ragged.constant([[1, 0, 0, 2, 0, 0, 3, 0, 4, 0, 1], []], dtype=tf.int32),
    }
    inputs, targets = model.examples(given)
    assert inputs["token_ids"].shape == targets.shape
    seen = targets.numpy()[targets.numpy() >= 0].tolist()
    assert len(seen) >= 11 and seen[:3] == [1, 0, 0] and set(seen) == {0, 1, 2, 3, 4}
    with pytest.raises(tf.errors.InvalidArgumentError, match="as many tags as units"):
        model.examples({"text": tf.constant(["one two"]), "tags": tf.ragged.constant([[0]], dtype=tf.int32)})
