"""Stages of a head that trains by steps on vectors made once, with the losses and buffers of a run's stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasft.config.continual import DarkExperienceConfig, EwcConfig, L2SpConfig, LwfConfig, ReplayConfig
from kerasft.config.schema import Config
from kerasft.continual.memory.buffers import balanced, herding
from kerasft.continual.methods.fisher import fisher_information
from kerasft.continual.methods.kept_rows import drawn
from kerasft.continual.methods.old_answers import OldAnswers
from kerasft.continual.methods.penalty import Anchored, grown, uniform
from kerasft.continual.methods.stored_logits import StoredLogits
from kerasft.data.prepared.beside import PREFIX
from kerasft.models.heads.text_classifier import HEAD
from kerasft.tasks.registry import create_task
from kerasft.training.objectives.base import Objective
from kerasft.training.objectives.task_loss import TaskLoss
from kerasft.training.optimizer import create_optimizer

Scores = Callable[[np.ndarray], np.ndarray]  # (rows, width) -> (rows, classes)
Beside = Mapping[str, np.ndarray]


class Rows:
    """Vectors as a prepared split has rows."""

    token_targets = False

    def __init__(self, vectors: np.ndarray, targets: np.ndarray):
        self.vectors, self.targets = vectors.astype(np.float32), targets.astype(np.int32)

    def __len__(self) -> int:
        return len(self.vectors)

    def batch(self, rows: np.ndarray):
        return {"vector": self.vectors[rows]}, self.targets[rows], np.ones(len(rows), np.float32)


class Stepped:
    """One order of classes by one method.

    Args:
        config: the sections `continual` and `training` and the seed are read; the dropout is that of MiniLM.
        width: of the vectors.
    """

    def __init__(self, config: Config, width: int):
        self.config, self.section, self.width = config, config.continual, width
        self.kept = np.zeros((0, width), np.float32), np.zeros(0, int)
        self.stored: list[np.ndarray] = []  # the logits of each kept row, of method der++
        self.weights = np.zeros((width, 0), np.float32), np.zeros(0, np.float32)
        self.fisher: Mapping[str, np.ndarray] = {}

    def learn(self, vectors: np.ndarray, targets: np.ndarray, classes: int, stage: int) -> Scores:
        """One stage: its own rows, and how many classes there are then."""
        section, seed, old = self.section, self.config.seed, self.weights[1].shape[0]
        model = self._model(classes)
        task = create_task(self.config, {"labels": [str(place) for place in range(classes)]})
        rows, beside = self._rows(vectors, targets, stage)
        objective: Objective = TaskLoss(model, task)
        if stage and isinstance(section, DarkExperienceConfig):
            objective = StoredLogits(model, task, beside=beside)
        elif stage and isinstance(section, LwfConfig):
            objective = OldAnswers(model, task, old=old, strength=section.strength, temperature=section.temperature)
            beside = {"old": model.predict({"vector": vectors}, batch_size=1024, verbose=0)[:, :old]}
        elif stage and isinstance(section, EwcConfig):
            weights = grown("before", self.fisher, model)
            objective = Anchored(model, task, strength=section.strength, weights=weights)
        elif stage and isinstance(section, L2SpConfig):
            objective = Anchored(model, task, strength=section.strength, weights=uniform(model, old))
        self._train(model, objective, rows, beside, np.random.default_rng([seed, stage]))
        if isinstance(section, (ReplayConfig, DarkExperienceConfig)):
            self._keep(model, vectors, targets)
        if isinstance(section, EwcConfig):
            drawn_labels = section.fisher == "model"
            found = fisher_information(model, Rows(vectors, targets), section.fisher_rows, seed, drawn=drawn_labels)  # pyright: ignore
            before = grown("before", self.fisher, model) if stage else {}
            self.fisher = {name: value + section.decay * before.get(name, 0.0) for name, value in found.items()}
        kernel, bias = self.weights = [keras.ops.convert_to_numpy(weight) for weight in model.get_layer(HEAD).weights]
        return lambda rows: rows @ kernel + bias

    def _model(self, classes: int) -> keras.Model:
        inputs = {"vector": keras.Input((self.width,), name="vector")}
        head = keras.layers.Dense(
            classes, kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02, seed=1), name=HEAD
        )
        model = keras.Model(inputs, head(keras.layers.Dropout(0.1, seed=classes)(inputs["vector"])))
        new = [np.array(keras.ops.convert_to_numpy(weight)) for weight in head.weights]
        for value, old in zip(new, self.weights):
            value[..., : old.shape[-1]] = old
        head.set_weights(new)
        return model

    def _rows(self, vectors: np.ndarray, targets: np.ndarray, stage: int) -> tuple[Rows, Beside]:
        """What an epoch has, as `Replay.train` and `DarkExperience.train` say."""
        section, seed, new = self.section, self.config.seed, len(vectors)
        if not stage or not isinstance(section, (ReplayConfig, DarkExperienceConfig)):
            return Rows(vectors, targets), {}
        kept, count = self.kept, len(self.kept[0])
        if isinstance(section, ReplayConfig):
            again = drawn(count, round(new * section.share / (1 - section.share)), seed)
            return Rows(*(np.concatenate([own, more[again]]) for own, more in zip((vectors, targets), kept))), {}
        first, second = (drawn(count, new, seed, term) for term in (0, 1))
        again = np.concatenate([first, second])
        width = max(map(len, self.stored))
        logits, known = np.zeros((3 * new, width), np.float32), np.zeros((3 * new, width), np.float32)
        for row, index in enumerate(first, start=new):
            logits[row, : len(self.stored[index])], known[row, : len(self.stored[index])] = self.stored[index], 1.0
        beside = {
            "stored": logits,
            "known": known,
            "labels": np.repeat(np.array([1.0, 0.0, section.beta], np.float32), new),
            "distance": np.repeat(np.array([0.0, section.alpha, 0.0], np.float32), new),
        }
        return Rows(*(np.concatenate([own, more[again]]) for own, more in zip((vectors, targets), kept))), beside

    def _keep(self, model: keras.Model, vectors: np.ndarray, targets: np.ndarray) -> None:
        section = self.section
        assert isinstance(section, (ReplayConfig, DarkExperienceConfig))
        before = len(self.kept[0])
        rows, labels = (np.concatenate(pair) for pair in zip(self.kept, (vectors, targets)))
        names = [str(label) for label in labels]
        if section.buffer == "herding":
            chosen = herding(rows, section.rows_per_class, names)
        else:
            digests = [row.tobytes().hex() for row in rows]
            chosen = balanced([{name} for name in names], digests, section.rows_per_class, self.config.seed)
        if isinstance(section, DarkExperienceConfig):
            now = model.predict({"vector": rows[chosen]}, batch_size=1024, verbose=0)
            self.stored = [self.stored[row] if row < before else now[place] for place, row in enumerate(chosen)]
        self.kept = rows[chosen], labels[chosen]

    def _train(
        self, model: keras.Model, objective: Objective, rows: Rows, beside: Beside, random: np.random.Generator
    ) -> None:
        training = self.config.training
        epochs, size = training.epochs, training.batch_size
        assert epochs is not None
        optimizer = create_optimizer(training, int(epochs) * -(-len(rows) // size), model, {})

        @tf.function(reduce_retracing=True, autograph=False)
        def step(inputs, targets, weights):
            with tf.GradientTape() as tape:
                loss = objective.loss(inputs, targets, weights) / tf.reduce_sum(weights)
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)

        for _ in range(int(epochs)):
            order = random.permutation(len(rows))
            for start in range(0, len(rows), size):
                batch = order[start : start + size]
                features, targets, weights = rows.batch(batch)
                features = features | {PREFIX + name: values[batch] for name, values in beside.items()}
                step(*tf.nest.map_structure(tf.constant, (features, targets, weights)))
