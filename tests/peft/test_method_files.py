"""Adapters of every method come back from their files, in a family of plain and one of joint layers."""

import keras
import numpy as np
import pytest
from support.families import BACKBONES
from support.peft_run import PeftRun
from support.tiny_split import prepared  # noqa: F401

from kerasft.config.model import ModelConfig
from kerasft.errors import UserError
from kerasft.peft.adapter_files import read_adapter, write_adapter
from kerasft.peft.base import Method
from kerasft.peft.registry import METHODS
from kerasft.training.checkpoints.checkpoint import Checkpoints
from kerasft.training.optimizer import create_optimizer

KEYS = {"lora": {"rank": 2}, "dora": {"rank": 2, "targets": "query_value"}, "vera": {"rank": 3}, "pissa": {"rank": 2}}
KEYS |= {name: {"tokens": 2} for name in ("prefix", "prompt", "p_tuning")}
KEYS |= {"adalora": {"rank": 3, "target_rank": 2}, "adapter": {"width": 3, "style": "houlsby"}}
KEYS |= {"prompt_pool": {"pool": 3, "chosen": 1, "tokens": 2}}


def make(name: str, backbone: keras.Model, start=None) -> Method:
    section = ModelConfig(preset="x", peft={"method": name, **KEYS.get(name, {})}).peft
    method = METHODS[name](section, backbone, backbone, 3, start)
    if name in ("prompt", "p_tuning", "prompt_pool"):
        method.add_rows(np.array([7, 8]))
        method.tensors()
    return method


def outputs(method: Method) -> list[np.ndarray]:
    """Of the backbone by way of the method, for a few tokens."""
    backbone = method.backbone
    ids = np.arange(1, 9)[None]
    features = {name: ids if "token" in name else np.ones_like(ids) for name in backbone.input}
    features |= {"segment_ids": np.zeros_like(ids)} if "segment_ids" in backbone.input else {}
    with method.merged():
        return [keras.ops.convert_to_numpy(each) for each in keras.tree.flatten(backbone(features))]


@pytest.mark.parametrize("family", ["bert", "gpt2"])
@pytest.mark.parametrize("name", METHODS)
def test_an_adapter_comes_back(name, family, tmp_path):
    backbone, twin = BACKBONES[family](30), BACKBONES[family](30)
    twin.set_weights(backbone.get_weights())
    method = make(name, backbone)
    before = outputs(method)
    for place, variable in enumerate(method.variables.values()):
        variable.assign(variable + 0.5 * keras.random.normal(variable.shape, seed=place))
    changed = outputs(method)
    assert any(np.abs(one - two).max() > 1e-3 for one, two in zip(changed, before))
    write_adapter(tmp_path, method.peft_config(), method.saved_tensors(), {"peft": {"method": name}})
    again = make(name, twin, read_adapter(tmp_path))
    for mine, theirs in zip(outputs(again), changed, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-5)
    other = "bitfit" if name != "bitfit" else "layernorm"
    with pytest.raises(UserError, match="is of|is "):
        make(other, BACKBONES[family](30), read_adapter(tmp_path))


@pytest.mark.parametrize(("family", "kind"), [("bert", "VERA"), ("gpt2", "KERASFT_VERA")])
def test_vera_of_a_joint_layer_is_not_called_one_of_peft(family, kind):
    assert make("vera", BACKBONES[family](30)).peft_config()["peft_type"] == kind


@pytest.mark.parametrize("name", ["pissa", "vera"])
def test_what_a_method_draws_comes_back_from_a_checkpoint(name, tiny_bert, prepared, tmp_path):  # noqa: F811
    """The bits of a singular value decomposition are those of a machine, and of its number of threads."""

    def begun() -> tuple[PeftRun, Checkpoints]:
        keras.utils.set_random_seed(0)
        run = PeftRun({"method": name, "rank": 2}, tiny_bert(), prepared)
        optimizer = create_optimizer(run.config.training, 8, run.model, {})
        return run, Checkpoints(tmp_path, run.model, optimizer, 1, others=run.method.untrained)

    run, checkpoints = begun()
    checkpoints.prepare()
    checkpoints.save()
    again, elsewhere = begun()
    for variable in again.method.untrained:
        variable.assign(variable + 1e-6)
    assert elsewhere.restore() == []
    assert again.method.untrained
    for mine, theirs in zip(again.method.untrained, run.method.untrained, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


@pytest.mark.parametrize(
    "section",
    [
        {"method": "adalora", "rank": 4, "target_rank": 1, "allocate_from": 0.1, "allocate_until": 0.9},
        {"method": "adapter", "style": "houlsby", "width": 3},
    ],
    ids=lambda section: section["method"],
)
def test_steps_go_on_from_a_checkpoint_as_if_never_stopped(section, tiny_bert, prepared, tmp_path):  # noqa: F811
    def begun(steps: int) -> tuple[PeftRun, Checkpoints]:
        keras.utils.set_random_seed(0)
        run = PeftRun(section, tiny_bert(), prepared)
        run.steps(steps)
        return run, Checkpoints(tmp_path, run.model, run.optimizer, 1, others=run.method.untrained)

    run, checkpoints = begun(3)
    checkpoints.prepare()
    checkpoints.save()
    run.go_on(3, 6)
    again, elsewhere = begun(0)
    assert elsewhere.restore() == [] and elsewhere.step == 3
    again.go_on(3, 6)
    assert elsewhere.sha256() == checkpoints.sha256()
