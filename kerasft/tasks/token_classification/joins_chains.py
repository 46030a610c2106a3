"""Ensembles of token classifiers: with a CRF their chains become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kerasft.config.tasks import TokenClassificationConfig
from kerasft.tasks.base import Task

if TYPE_CHECKING:
    import tensorflow as tf

    from kerasft.data.prepared.token_windows import PreparedWindows  # noqa: F401  its name stands in a base, quoted
    from kerasft.models.heads.crf import FixedScores, TagScores


class JoinsChains(Task[TokenClassificationConfig, "PreparedWindows"]):
    """The part of the task that ensembles ask for.

    Attributes:
        chain: of a CRF, once the model is built.
        chains: of an ensemble's members.
    """

    chain: TagScores | None = None
    chains: Sequence[FixedScores] = ()

    def join(self, members: Sequence[Task], weights: Sequence[float]) -> None:
        from kerasft.models.heads.crf import in_order, mean_scores

        if not self.section.crf:
            return
        names = self.logit_names(self.state["labels"])
        orders = [[each.logit_names(each.state["labels"]).index(name) for name in names] for each in members]
        chains = [each.chain for each in members if isinstance(each, JoinsChains)]
        self.chains = [in_order(chain, order) for chain, order in zip(chains, orders) if chain is not None]
        self.chain = mean_scores(self.chains, weights)

    def joined_logits(
        self, members: Sequence[tf.Tensor], weights: Sequence[float], features: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        from kerasft.models.heads.joined_logits import of_scores

        return of_scores(members, weights) if self.section.crf else super().joined_logits(members, weights, features)

    def disagreement(
        self, members: Sequence[tf.Tensor], weights: Sequence[float], features: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        from kerasft.models.heads.joined_tags import disagreement_of_chains

        if not self.section.crf:
            return super().disagreement(members, weights, features)
        return disagreement_of_chains(members, self.chains, weights, features)
