"""A relation classifier in Keras alone: from a preset, by `fit`, to probabilities."""

import keras
import numpy as np
import tensorflow as tf

from kerasft.models.heads.relation_classifier import RelationClassifier


def test_it_learns_by_fit_which_entity_comes_first(tiny_preset):
    keras.utils.set_random_seed(0)
    model = RelationClassifier.from_preset(str(tiny_preset), outputs=2, max_length=32)
    names = ["oil", "bank", "cup", "goal"]
    random = np.random.default_rng(0)
    pairs = [random.choice(names, 2, replace=False) for _ in range(128)]
    texts = [f"the <e1>{first}</e1> of a <e2>{second}</e2>" for first, second in pairs]
    labels = [int(first in names[:2]) for first, _ in pairs]
    data = tf.data.Dataset.from_tensor_slices((texts, labels)).batch(16).map(model.examples).cache()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, jit_compile=False)
    model.fit(data, epochs=12, verbose=0)
    found = model.answer(texts).numpy()
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    assert (found.argmax(1) == labels).mean() > 0.95
