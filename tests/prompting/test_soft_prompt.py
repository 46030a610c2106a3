"""A soft prompt before a cloze: its rows alone train, and what is saved and exported has them."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from support.projects import make_project

import kerasft
from kerasft import train
from kerasft.models.heads.masked_lm import MaskedLM
from kerasft.models.named_weights import by_path, save_variables
from kerasft.models.presets.facts import FACTS
from kerasft.models.presets.masked_lm_weights import HEAD, UNSAID
from kerasft.models.presets.presets import load_backbone
from kerasft.runs import Run

TOKENS = 3


@pytest.fixture(scope="module")
def masked_lm(tiny_preset, tmp_path_factory):
    """A preset with a head of a masked language model, and the head's weights."""
    folder = tmp_path_factory.mktemp("masked_lm") / "model"
    shutil.copytree(tiny_preset, folder)
    head = MaskedLM(load_backbone(str(folder))).get_layer(HEAD)
    own = [variable for variable in head.weights if "embedding" not in variable.path]
    for variable in own:
        variable.assign(np.random.default_rng(0).normal(size=variable.shape))
    save_variables(folder / "head.weights.npz", by_path(own))
    (folder / FACTS).write_text(json.dumps({"task": "masked_lm", "state": {}}))
    return folder, own


@pytest.fixture
def project(masked_lm, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_project(
        tmp_path,
        masked_lm[0],
        task={"labels": ["sport", "money"], "label_texts": {"sport": "goal match", "money": "bank"}},
        prompting={"method": "masked_lm", "template": "{text} a {mask}"},
        model={"max_length": 24, "dropout": 0.0},
        training={"epochs": 4, "optimizer": {"learning_rate": 0.1, "weight_decay": 0.0}},
    )


@pytest.mark.parametrize("method", ["prompt", "p_tuning"])
def test_the_rows_alone_train(method, project, masked_lm, capsys):
    peft = f"model.peft={{method: {method}, tokens: {TOKENS}}}"
    assert train.main([project.name, peft]) == 0, capsys.readouterr().err
    preset, head = masked_lm
    run = Path("runs/tiny")
    if method == "prompt":
        assert json.loads((run / "metrics.json").read_text())["model"]["trainable_parameters"] == TOKENS * 16
    before, after = (
        keras.ops.convert_to_numpy(load_backbone(str(folder)).token_embedding.embeddings)
        for folder in (preset, run / "model")
    )
    words = len(before)
    assert len(after) == words + TOKENS
    np.testing.assert_array_equal(after[:words], before)
    with np.load(run / "model/head.weights.npz") as saved:
        bias, *others = (next(saved[name] for name in saved if name.endswith(each.path)) for each in head)
    for mine, variable in zip(others, head[1:]):
        np.testing.assert_array_equal(mine, variable)
    np.testing.assert_array_equal(bias[:words], head[0])
    assert (bias[words:] == UNSAID).all()

    state = json.loads((run / "model" / FACTS).read_text())["state"]
    learnt, served = (kerasft.load(folder) for folder in (str(run), "saved_models/tiny"))
    ids = Run.open(run).load().preprocessor({"text": ["goal"]})["token_ids"].numpy()[0].tolist()
    assert ids[1 : 1 + TOKENS] == state["prompt_ids"]
    texts = [{"text": "a goal of the team"}, {"text": "stock"}]
    assert [answer["label"] for answer in learnt.answer(texts)] == [answer["label"] for answer in served.answer(texts)]


def test_a_prompt_that_leaves_no_room_beside_the_template_is_refused(project, capsys):
    assert train.main([project.name, "model.peft={method: prompt, tokens: 20}"]) == 2
    said = capsys.readouterr().err
    assert "model.peft.tokens: 20 leave no room for a text in model.max_length" in said and "use 1" in said
