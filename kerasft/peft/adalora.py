"""AdaLoRA: pairs in the form of a singular value decomposition, whose ranks a budget settles (arXiv:2303.10512).

Zhang et al. 2023, "Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning". Every layer begins with `rank`
values. While the budget falls, those that matter least among all layers are set to zero in each step; a value that was
set to zero has a gradient, and may come back as long as the choice is not settled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.config.peft import AdaloraConfig
from kerasft.errors import UserError
from kerasft.peft.adapter_files import Adapter
from kerasft.peft.beside import Beside
from kerasft.peft.budget import Budget, Importance
from kerasft.peft.forms import LayerAdapter, Product, Values
from kerasft.peft.module_names import family_of, module_names
from kerasft.peft.targets import Target, find_targets

P, E, Q = "lora_A", "lora_E", "lora_B"  # as PEFT's files call them; what is read first is A
# Thirds of a joint layer are not PEFT's, which has one set of values for all three.
THIRDS = "KERASFT_ADALORA"
_STD = 0.02  # of P and Q
_TINY = 1e-5  # that PEFT adds to a rank which it divides by
_ONCE = "only_first_replica"  # replicas assign the same numbers


class Triplets(LayerAdapter):
    """x -> x W + scale * ((x P) e) Q.

    Args:
        target: the layer.
        variables: P (inner, rank) and Q (rank, outer), normal with a deviation of 0.02 at first; e (rank,), zeros at
            first and wherever the budget has no place.
        scale: alpha / rank, as PEFT has it.
        dropout: of what P reads; None: there is none.
    """

    def __init__(
        self,
        target: Target,
        variables: Mapping[str, keras.Variable],
        scale: float,
        dropout: keras.layers.Dropout | None = None,
    ):
        super().__init__(target, variables, () if dropout is None else (dropout,))
        self.scale, self.dropout = scale, dropout

    def product(self, x: tf.Tensor, base: Product, training: bool | None) -> tf.Tensor:
        read = x if self.dropout is None else self.dropout(x, training=training)
        narrow = read @ self.read(P, x) * self.read(E, x)  # (rows, rank)
        return base(x) + self.scale * (narrow @ self.read(Q, x))

    def merged(self) -> Values:
        delta = self.scale * ((self.value(P) * self.value(E)) @ self.value(Q))
        yield from self.kernel(self.target.matrix() + delta)

    @property
    def rank(self) -> int:
        """How many of its values are not zero."""
        return int(np.count_nonzero(self.value(E)))


class Adalora(Beside[Triplets]):
    """`model.peft.method: adalora`."""

    name = "adalora"
    config: AdaloraConfig

    def __init__(
        self, config: AdaloraConfig, model: keras.Model, backbone: keras.Model, seed: int, start: Adapter | None = None
    ):
        super().__init__(config, model, backbone, seed, start)
        targets = find_targets(model, backbone, config.targets, config.layers)
        for target in targets:
            if config.rank > min(target.inner, target.outer):
                raise UserError(
                    f"model.peft.rank: {config.rank} is more than {target.path} has, whose kernel is {target.inner} x "
                    f"{target.outer}; use {min(target.inner, target.outer)} or less"
                )
        self.dropout = self.bank.add_dropout(config.dropout, seed)
        self.adapters = [self._make(target) for target in targets]
        self.importances = [Importance(self.bank, a.target.path, a.variables) for a in self.adapters]
        self.budget: Budget | None = None  # until the number of steps is known

    def _make(self, target: Target) -> Triplets:
        random, rank = self.draw(target), self.config.rank
        values = {
            P: random.normal(0.0, _STD, (target.inner, rank)),
            E: np.zeros(rank),
            Q: random.normal(0.0, _STD, (rank, target.outer)),
        }
        if self.start is not None:
            values = self._read(self.start, target)
        variables = {
            name: self.bank.add(f"{target.path}/{name}", value.astype(np.float32), aggregation=_ONCE)
            for name, value in values.items()
        }
        return Triplets(target, variables, self.config.alpha / (rank + _TINY), self.dropout)

    def begin(self, steps: int) -> Mapping[str, float]:
        config, count = self.config, len(self.adapters)
        self.budget = Budget(
            first=config.rank * count,
            last=config.target_rank * count,
            begin=round(config.allocate_from * steps),
            end=max(round(config.allocate_until * steps), round(config.allocate_from * steps) + 1),
            every=config.allocate_every,
        )
        return self.rates

    def before_update(self, variables: Sequence[keras.Variable], gradients: list, now: tf.Tensor) -> list:
        """Learns from gradients of the loss alone what matters; the penalty is added to them afterwards."""
        places = {id(variable): place for place, variable in enumerate(variables)}
        replica = tf.distribute.get_replica_context()
        found = list(gradients)
        for adapter, importance in zip(self.adapters, self.importances):
            own = {name: gradients[places[id(variable)]] for name, variable in adapter.variables.items()}
            importance.update(replica.all_reduce(tf.distribute.ReduceOp.SUM, own))
            for name, more in self._penalty(adapter).items():
                found[places[id(adapter.variables[name])]] += more / replica.num_replicas_in_sync
        return found

    def _penalty(self, adapter: Triplets) -> dict[str, tf.Tensor]:
        """The gradients of |P'P - I|^2 + |QQ' - I|^2 by its weight, of P and of Q."""
        weight, p, q = self.config.orthogonality, *(tf.convert_to_tensor(adapter.variables[n]) for n in (P, Q))
        if not weight:
            return {}
        one = tf.eye(self.config.rank)
        of_p = 4.0 * weight * (p @ (tf.matmul(p, p, transpose_a=True) - one))
        return {P: of_p, Q: 4.0 * weight * ((tf.matmul(q, q, transpose_b=True) - one) @ q)}

    def after_update(self, now: tf.Tensor) -> None:
        assert self.budget is not None, "begin was not called"
        scores = [importance.scores() for importance in self.importances]
        masks = self.budget.masks(scores, [importance.live.value for importance in self.importances], now + 1)
        for adapter, importance, mask in zip(self.adapters, self.importances, masks):
            importance.live.value.assign(mask)
            values = adapter.variables[E].value
            values.assign(tf.convert_to_tensor(values) * mask)

    @property
    def bookkeeping(self) -> list[keras.Variable]:
        return self.untrained

    @property
    def figures(self) -> Mapping[str, Any]:
        ranks = {adapter.target.path: adapter.rank for adapter in self.adapters}
        return {"ranks": ranks, "rank_sum": sum(ranks.values())}

    def _modules(self) -> dict[str, str]:
        names = module_names(self.backbone, [adapter.target.path for adapter in self.adapters])
        return {path: name.replace("[", ".third_").replace("]", "") for path, name in names.items()}

    def peft_config(self) -> dict[str, Any]:
        config, names = self.config, self._modules()
        steps = self.budget.end if self.budget else 1
        return {
            "peft_type": THIRDS if any(".third_" in name for name in names.values()) else "ADALORA",
            "r": config.rank,
            "init_r": config.rank,
            "target_r": config.target_rank,
            "lora_alpha": config.alpha,
            "lora_dropout": config.dropout,
            "orth_reg_weight": config.orthogonality,
            "tinit": self.budget.begin if self.budget else 0,
            "tfinal": 0,
            "deltaT": config.allocate_every,
            "total_step": steps,
            "target_modules": sorted(names.values()),
            "fan_in_fan_out": family_of(self.backbone).turned,
            "bias": "none",
            "inference_mode": True,
        }

    def tensors(self) -> dict[str, np.ndarray]:
        names, found = self._modules(), {}
        for adapter in self.adapters:
            module = names[adapter.target.path]
            found |= {f"{module}.{P}": adapter.value(P).T, f"{module}.{Q}": adapter.value(Q).T}
            found[f"{module}.{E}"] = adapter.value(E)[:, None]
        return found

    def _read(self, start: Adapter, target: Target) -> dict[str, np.ndarray]:
        kind, there = start.config.get("peft_type"), start.config
        if kind not in ("ADALORA", THIRDS):
            raise UserError(f"{start.folder} is of {kind}, not ADALORA; set model.peft.method accordingly")
        rank, alpha = there.get("init_r", there.get("r")), there.get("lora_alpha")
        for name, mine, other in (("rank", self.config.rank, rank), ("alpha", self.config.alpha, alpha)):
            if mine != other:
                raise UserError(f"model.peft.{name}: {mine}, but {start.folder} has {other}; set it to that")
        module = module_names(self.backbone, [target.path])[target.path].replace("[", ".third_").replace("]", "")
        bare = module.removeprefix(family_of(self.backbone).prefix)
        found = {}
        for name, shape in ((P, (target.inner, rank)), (E, (1, rank)), (Q, (rank, target.outer))):
            value = start.tensors.get(f"{module}.{name}", start.tensors.get(f"{bare}.{name}"))
            if value is not None and name != Q and value.T.shape[1] < rank:  # PEFT leaves out what it has taken out
                value = np.pad(value, [(0, rank - len(value)), (0, 0)])
            elif value is not None and name == Q and value.T.shape[0] < rank:
                value = np.pad(value, [(0, 0), (0, rank - value.shape[1])])
            if value is None or value.T.shape != shape:
                what = "nothing" if value is None else " x ".join(map(str, value.T.shape))
                raise UserError(
                    f"{start.folder} has {what} for {target.path} ({module}.{name}); use the preset and the "
                    "model.peft.targets that it was trained with"
                )
            found[name] = value.T.reshape(-1) if name == E else value.T
        return found
