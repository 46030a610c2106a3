"""The part of a task that ensembles ask for: several models that answer as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

    from kerasft.tasks.base.task import Task


class Joinable:
    """By default logits are scores of classes, of which one is true."""

    one_of_many: bool

    def join(self, members: Sequence[Task], weights: Sequence[float]) -> None:
        """Takes over what logits do not hold, such as a chain of tags or a decoder, from an ensemble's members.

        Args:
            members: the task of each, whose model is built.
            weights: that sum to 1.
        """

    def joined_logits(
        self, members: Sequence[tf.Tensor], weights: Sequence[float], features: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        """In graph: logits of the members of an ensemble, and their shares -> logits that decode as one model's do.

        For ensembles, which are of tasks that have it; by default of logits that are scores of classes.
        """
        from kerasft.models.heads.joined_logits import of_classes

        if not self.one_of_many:
            raise NotImplementedError(f"{type(self).__name__} has no ensembles")
        return of_classes(members, weights)

    def disagreement(
        self, members: Sequence[tf.Tensor], weights: Sequence[float], features: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        """In graph: (rows of the model,) how much the members of an ensemble differ; 0: not at all."""
        from kerasft.models.heads.joined_logits import disagreement

        return disagreement(members, weights, self.one_of_many)
