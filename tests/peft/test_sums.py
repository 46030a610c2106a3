"""Sums of adapters: each as its paper has it, by hand on small matrices."""

import numpy as np
import pytest

from kerasft.errors import UserError
from kerasft.peft.adapter_files import Adapter
from kerasft.peft.sums import Sum, add_adapters, cut, dare, ties

MODULE, OTHER = "bert.encoder.layer.0.output.dense", "bert.encoder.layer.1.output.dense"


def adapter(seed: int, rank: int = 2, modules=(MODULE, OTHER), sha256: str = "0", **config) -> Adapter:
    random = np.random.default_rng(seed)
    tensors = {"kerasft_head.kernel": np.full((1, 1), seed, np.float32)}
    for module in modules:
        tensors[f"{module}.lora_A.weight"] = random.normal(size=(rank, 6)).astype(np.float32)
        tensors[f"{module}.lora_B.weight"] = random.normal(size=(5, rank)).astype(np.float32)
    settings = {"peft_type": "LORA", "r": rank, "lora_alpha": 8.0, **config}
    return Adapter(f"adapter {seed}", settings, tensors, {"base": {"sha256": sha256}})


def delta(tensors, module: str, scale: float = 1.0) -> np.ndarray:
    """(inner, outer)"""
    return scale * (tensors[f"{module}.lora_B.weight"] @ tensors[f"{module}.lora_A.weight"]).T


def test_a_linear_sum_is_exact_and_has_the_rank_of_both():
    one, two = adapter(0), adapter(1, rank=3, use_rslora=True, modules=(MODULE,))
    added = add_adapters([one, two], Sum("linear", [0.25, 0.5]))
    expected = 0.25 * delta(one.tensors, MODULE, 8 / 2) + 0.5 * delta(two.tensors, MODULE, 8 / 3**0.5)
    np.testing.assert_allclose(delta(added.tensors, MODULE), expected, atol=1e-5)
    np.testing.assert_allclose(delta(added.tensors, OTHER), 0.25 * delta(one.tensors, OTHER, 4.0), atol=1e-5)
    assert added.config["r"] == added.config["lora_alpha"] == 5
    assert added.config["rank_pattern"] == {OTHER: 2} == {k: int(v) for k, v in added.config["alpha_pattern"].items()}
    assert added.kept == 1.0 and added.tensors["kerasft_head.kernel"] == 0  # of the first


def test_svd_is_the_nearest_of_its_rank():
    one, two = adapter(0), adapter(1)
    whole = 0.5 * (delta(one.tensors, MODULE, 4.0) + delta(two.tensors, MODULE, 4.0))
    exact = add_adapters([one, two], Sum("svd", [0.5, 0.5], rank=4))
    np.testing.assert_allclose(delta(exact.tensors, MODULE), whole, atol=1e-5)
    added = add_adapters([one, two], Sum("svd", [0.5, 0.5]))
    left, values, right = np.linalg.svd(whole)
    nearest = (left[:, :2] * values[:2]) @ right[:2]
    np.testing.assert_allclose(delta(added.tensors, MODULE), nearest, atol=1e-5)
    assert exact.kept == pytest.approx(1.0, abs=1e-5) and 0.3 < added.kept < 0.999
    np.testing.assert_allclose(cut(whole, 9)[0] @ cut(whole, 9)[1], whole, atol=1e-5)


def test_ties_trims_elects_signs_and_averages_those_that_agree():
    deltas = np.array([[4.0, -3.0, 0.1, 2.0], [2.0, 5.0, -0.2, -1.0]])
    # Of four the two largest of each stay: 4, -3 and 2, 5; the second number is elected positive.
    np.testing.assert_allclose(ties(deltas, 0.5), [3.0, 5.0, 0.0, 0.0])
    np.testing.assert_allclose(ties(deltas, 1.0), [3.0, 5.0, -0.2, 2.0])


def test_dare_drops_and_scales_so_that_the_mean_stays():
    deltas = np.ones((1, 200, 200))
    found = dare(deltas, 0.25, np.random.default_rng(0))
    assert set(np.unique(found)) == {0.0, 4.0} and found.mean() == pytest.approx(1.0, abs=0.03)
    sums = [add_adapters([adapter(0), adapter(1)], Sum("dare", [1, 1], density=0.5, seed=s)).tensors for s in (0, 0, 1)]
    same, again, other = (delta(tensors, MODULE) for tensors in sums)
    np.testing.assert_array_equal(same, again)
    assert np.abs(same - other).max() > 1e-3


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (adapter(1, sha256="1"), "is of another base than adapter 0"),
        (adapter(1, use_dora=True), "is of DoRA; adapters of LoRA can be added"),
        (adapter(1, peft_type="IA3"), "is of IA3; adapters of LoRA"),
        (adapter(1, bias="all"), "has biases"),
    ],
)
def test_adapters_that_can_t_be_added_are_refused(other, said):
    with pytest.raises(UserError, match=said):
        add_adapters([adapter(0), other], Sum("linear", [1, 1]))
