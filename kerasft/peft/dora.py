"""DoRA: LoRA on the directions of a kernel, and their lengths beside it (Liu et al. 2024, arXiv:2402.09353)."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.peft.adapter_files import Adapter
from kerasft.peft.forms import Product, Values
from kerasft.peft.lora import A, B, Lora, Pair
from kerasft.peft.lora_files import Matrices
from kerasft.peft.module_names import family_of, known_names, module_names
from kerasft.peft.targets import Target, linear_layers

LENGTH = "lora_magnitude_vector"


def lengths(matrix: np.ndarray) -> np.ndarray:
    """(inner, outer) -> (outer,), that of each column."""
    return np.linalg.norm(matrix, axis=0)


class DoraPair(Pair):
    """x -> (x W + scale * x A B) m / |W + scale A B|, the norm of each column; a bias stays outside.

    `lora_magnitude_vector` is m (outer,), the columns' own lengths at first. The norm is a constant for the gradient
    (section 4.3 of the paper). What dropout takes from A is taken from the change of length, too, as PEFT has it.
    """

    def product(self, x: tf.Tensor, base: Product, training: bool | None) -> tf.Tensor:
        share = tf.cast(self._share(), x.dtype)
        own, read = base(x), self.dropped(x, training)
        if self.dropout is None:
            return share * (own + self.added(x))
        return own + (share - 1.0) * base(read) + share * self.added(read)

    def _share(self) -> tf.Tensor:
        """m over the columns' lengths, (outer,) float32."""
        target = self.target
        kernel = tf.cast(tf.reshape(tf.convert_to_tensor(target.layer.kernel), [target.inner, -1]), tf.float32)
        whole = kernel + self.scale * (self.read(A, kernel) @ self.read(B, kernel))
        return self.read(LENGTH, kernel) / tf.stop_gradient(tf.norm(whole, axis=0))

    def merged(self) -> Values:
        whole = self.target.matrix() + self.delta()
        yield from self.kernel(whole * (self.value(LENGTH) / lengths(whole)))


class Dora(Lora):
    """`model.peft.method: dora`."""

    name = "dora"

    def make(self, target: Target, pair: Matrices) -> Pair:
        value = lengths(target.matrix()) if self.start is None else self._read(self.start, target)
        length = {LENGTH: self.bank.add(f"{target.path}/{LENGTH}", value)}
        return DoraPair(target, self._variables(target, pair) | length, pair.scale, self.dropout)

    def peft_config(self) -> dict[str, Any]:
        return super().peft_config() | {"use_dora": True}

    def tensors(self) -> dict[str, np.ndarray]:
        found = super().tensors()
        every = linear_layers(self.backbone)
        names = known_names(self.backbone, [target.path for target in every])
        mine = {pair.target.path: pair for pair in self.adapters}
        joint: dict[str, dict[int, np.ndarray]] = {}
        for target in (target for target in every if target.path in names):
            module, _, third = names[target.path].partition("[")
            pair = mine.get(target.path)
            if third:  # a third of a joint layer that is not adapted has its own length
                value = lengths(target.matrix()) if pair is None else pair.value(LENGTH)
                joint.setdefault(module, {})[int(third[:-1])] = value
            elif pair is not None:
                found[f"{module}.{LENGTH}"] = pair.value(LENGTH)
        for module, thirds in joint.items():
            if f"{module}.lora_A.weight" in found:
                found[f"{module}.{LENGTH}"] = np.concatenate([thirds[i] for i in sorted(thirds)])
        return found

    def _read(self, start: Adapter, target: Target) -> np.ndarray:
        """The lengths that an adapter has for a layer."""
        family = family_of(self.backbone)
        module, _, third = module_names(self.backbone, [target.path])[target.path].partition("[")
        names = (module, module.removeprefix(family.prefix))
        found = [start.tensors[f"{name}.{LENGTH}"] for name in names if f"{name}.{LENGTH}" in start.tensors]
        value = found[0].reshape(-1) if found else np.zeros(0, np.float32)
        value = value[int(third[:-1]) * target.outer :][: target.outer] if third else value
        if value.shape != (target.outer,):
            raise UserError(
                f"{start.folder} has {value.size} lengths for {target.path} ({module}), and {target.outer} are "
                "needed; use the preset that it was trained with"
            )
        return value
