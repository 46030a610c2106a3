"""The contract between a task and the rest of the program."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.errors import UserError
from kerasft.tasks.base.data import SectionT, SplitT, TaskData
from kerasft.tasks.base.declarations import Dialogue, Explained
from kerasft.tasks.base.joinable import Joinable
from kerasft.tasks.base.outcomes import TaskOutcomes
from kerasft.tasks.base.taught import Taught

if TYPE_CHECKING:  # a config or data error must be found without waiting for TensorFlow
    import keras
    import tensorflow as tf

    from kerasft.data.sources.sources import Record
    from kerasft.data.tables.table import Table
    from kerasft.evaluation.report.kind import Kind
    from kerasft.models.generation.generator import Generator


DECODED_AT_ONCE = 256  # rows


class Task(TaskData[SectionT, SplitT], Joinable, Taught, TaskOutcomes[SplitT]):
    """What one task adds to a backbone.

    A task is the only place that knows how a row becomes features, what head sits on the backbone,
    what is minimised, what is measured, and how logits become an answer. Modules of tasks import
    without TensorFlow; methods that build graphs import it.

    Attributes:
        kind: what people see of it: the report's page, the terminal's table.
        needs_training: whether `build` adds weights that mean nothing before training.
        measures_answers: whether `answer_metrics` has figures, which take rows of `predictions`.
        separable: whether the loss of a batch is the sum of its rows' own.
        embeds: whether `decode` answers unit vectors, `embedding`, that an index can be searched by.
        one_of_many: whether the logits of a row or token are scores of classes of which one is true, the same
            ones at each step: softmax makes probabilities of them, which can be compared with a teacher's.
        compares: whether `divergence` is the task's own, so that outputs that are no such scores can be compared, too.
        fills_masks: whether a text's mask tokens, `mask_token`, are what is answered.
        writes: whether an answer takes many calls of the model: then no text waits for the answers to others.
        pipeline: what Hugging Face calls models of this kind, its `pipeline_tag`; None: it has no name for it.
        problem_type: what Hugging Face's pipelines make of the logits of a text; None: it is no such task.
        likelihood: how it says how likely a text is: `masked`, hiding tokens, or `causal`, from left to right.
        explains: whether `explained` has numbers behind its answers.
        judges: whether `verdict` says of one answer whether it is right.
        answers_numbers: whether an answer is a number, which is not right or wrong: `verdict` gives it and its error.
        judged: what the mean of these verdicts is called.
        judged_in_parts: whether an answer may be right in part: verdicts between 0 and 1.
        peft_type: what Hugging Face's PEFT calls models with such a head, its `task_type`; None: it has no name for it.
    """

    kind: Kind
    needs_training = True
    measures_answers = False
    separable = True
    embeds = False
    one_of_many = False
    compares = False
    fills_masks = False
    writes = False
    peft_type: str | None = None
    pipeline: str | None = None
    problem_type: str | None = None
    likelihood: str | None = None
    explains = False
    judges = False
    judged = "accuracy"
    judged_in_parts = False
    answers_numbers = False

    @property
    def generator(self) -> Generator:
        """What writes the answers of a task that `writes`, once its preprocessor is built."""
        raise NotImplementedError(f"{type(self).__name__} does not write")

    @property
    def mask_token(self) -> str:
        """What stands for a hidden token in a text, for tasks that fill them, once the preprocessor is built."""
        raise NotImplementedError(f"{type(self).__name__} fills no masks")

    @property
    def dialogue(self) -> Dialogue | None:
        """How a dialogue is held with the model; None: its inputs are no dialogues."""
        return None

    def parse_passage(self, record: Record) -> str:
        """One record of an index: its second text, or where it has none its only one; for tasks that embed."""
        raise NotImplementedError(f"{type(self).__name__} does not embed")

    # Graphs.
    def adapt(self, backbone: keras.Model, tokenizer: Any) -> tuple[keras.Model, Any]:
        """Changes to a pre-trained model before a head goes on it, such as tokens of the task's own.

        Called once, before training; what it leaves in `state` is saved with the model.
        """
        return backbone, tokenizer

    def preprocessor(self, backbone: keras.Model, tokenizer: Any) -> Any:
        """The object that turns `inputs` into features, in `prepare` and in the SavedModel alike."""
        from kerasft.models.preprocessing.preprocessor import text_preprocessor

        return text_preprocessor(backbone, tokenizer, self.config.model.max_length, self.inputs)

    @abc.abstractmethod
    def build(self, backbone: keras.Model) -> keras.Model:
        """Backbone -> plain Keras model: features -> logits."""

    def logit_names(self, labels: Sequence[str]) -> list[str]:
        """Labels in the order of a model -> a name of each logit of its head, alike where the meaning is.

        For heads that grow (`kerasft.models.growing_heads`).
        """
        return list(labels)

    @property
    def units(self) -> tuple[float, float]:
        """What a logit is multiplied by, and what is added then, so that it has the units of the data."""
        return 1.0, 0.0

    def load_head(self, model: keras.Model, preset: str) -> None:
        """Gives the head of a new model the weights that its preset has for it, where a task knows of such.

        Args:
            model: what `build` returned.
            preset: resolved; see `kerasft.models.presets.presets`.
        """

    @abc.abstractmethod
    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """(batch, ...), (batch, ...) -> (batch,) loss of each example."""

    def loss_sum(self, targets: tf.Tensor, logits: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """The weighted sum of this replica's losses; a weight of 0 is a row that only fills the batch up.

        For tasks whose examples are compared with each other: their losses are no function of one example.
        """
        import tensorflow as tf

        return tf.reduce_sum(self.loss(targets, logits) * weights)

    def divergence(self, targets: tf.Tensor, one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        """(batch, ...), logits twice -> (batch,) how far two outputs for the same rows differ; 0: not at all.

        For objectives that compare passes; by default of logits that are scores of classes.
        """
        from kerasft.models.heads.divergence import between_classes, between_tokens

        if not self.one_of_many:
            raise NotImplementedError(f"{type(self).__name__} can't compare two outputs")
        return between_classes(one, other) if one.shape.rank == 2 else between_tokens(targets, one, other)

    def condense(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """In graph: what an evaluation keeps of a batch's logits and calls logits from then on; all by default.

        For tasks whose logits are as wide as a vocabulary: those of a split would fill the memory.
        """
        return logits

    def decode(self, logits: tf.Tensor, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """In graph: logits -> answers, every tensor of rank >= 1 with the batch first.

        A task whose answer takes more than one call of the model overrides `answer` and `predictions` instead.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither decode nor answer and predictions of its own")

    def answer(self, model: keras.Model, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """In graph: what the preprocessor gave -> answers, as `decode` has them."""
        return self.decode(model(features, training=False), features)

    def answer_with(
        self, model: keras.Model, features: Mapping[str, tf.Tensor], numbers: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """In graph: `answer` by the (batch,) numbers of a request, for tasks that have some."""
        raise NotImplementedError(f"{type(self).__name__} has no numbers")

    def labels_signature(self, model: keras.Model, preprocessor: Any) -> Any:
        """In graph: {input: (batch,) strings, `labels` among them} -> answers by these; for `export.labels`."""
        raise NotImplementedError(f"{type(self).__name__} has no labels of a request")

    def tf_serving_signatures(self, answers: Mapping[str, tf.Tensor]) -> dict[str, dict[str, tf.Tensor]]:
        """Answers as TensorFlow Serving's `classify` or `regress` outputs, where they have that form."""
        return {}

    def sample(self) -> dict[str, str]:
        """`inputs` such as a user would send, for the commands that an export shows."""
        texts = {"text": "a text to ask about", "text_pair": "and the other one"}
        return {name: texts[name] for name in self.inputs}

    def probes(self, inputs: Mapping[str, list[bytes]]) -> dict[str, list[bytes]]:
        """Texts that break servers -> the rows that an export is checked on."""
        return dict(inputs)

    def explained(
        self, logits: np.ndarray, features: Mapping[str, np.ndarray], label: str | None, contrast: str | None
    ) -> list[list[Explained]]:
        """The numbers behind the answers to a batch of texts, a list for each; of a `label` instead of the answers.

        `contrast`: against which label; "": the next likeliest. Raises UserError where there is no such label.
        """
        raise UserError(f"{self.config.task.name}: its answers are not explained word by word")

    def predictions(self, table: Table, split: SplitT, logits: np.ndarray) -> Iterator[dict[str, Any]]:
        """One JSON-able row an example: its texts, the truth, the answer."""
        for indices, targets, outputs in self._decoded_rows(split, logits):
            for row, target, answer in zip(table.rows(indices), targets, self.rows(outputs)):
                yield {name: row[name] for name in self.inputs} | {"truth": self.truth(target)} | answer

    def _decoded_rows(
        self, split: SplitT, logits: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]]:
        """Indices of some rows at a time, their targets, and what `decode` answers."""
        import tensorflow as tf

        for start in range(0, len(split), DECODED_AT_ONCE):
            indices = np.arange(start, min(start + DECODED_AT_ONCE, len(split)))
            features, targets, _ = split.batch(indices)
            outputs = self.decode(tf.constant(logits[indices]), tf.nest.map_structure(tf.constant, features))
            yield indices, targets, {name: value.numpy() for name, value in outputs.items()}
