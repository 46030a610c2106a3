"""A soft prompt before a cloze: its rows alone train, and what is saved and exported has them."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from support.projects import make_project
from support.rarely import rarely

import kerasft
from kerasft import evaluate, train
from kerasft.models.heads.masked_lm import MaskedLM
from kerasft.models.named_weights import by_path, save_variables
from kerasft.models.presets.facts import FACTS
from kerasft.models.presets.masked_lm_weights import HEAD, UNSAID, _with_added
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


@pytest.mark.parametrize("method", ["prompt", *rarely("p_tuning")])
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


@pytest.mark.parametrize(
    "keys, said",
    [
        (
            ["model.peft={method: prompt, tokens: 20}"],
            "model.peft.tokens: 20 leave no room for a text in model.max_length",
        ),
        (["model.peft={method: prompt_pool}"], "prompt_pool is for prompting.method embedding alone"),
        (["model.peft={method: prompt}", "data.train=[]"], "prompt is random before it is trained; name data.train"),
        (["model.peft={method: p_tuning}", "prompting.calibration=content_free"], "set it to none"),
    ],
)
def test_what_a_soft_prompt_is_not_for_is_refused(project, keys, said, capsys):
    assert train.main([project.name, *keys]) == 2
    assert said in capsys.readouterr().err


def test_a_config_is_not_measured_with_a_prompt_that_is_still_random(project, capsys):
    assert evaluate.main([project.name, "model.peft={method: prompt, tokens: 3}"]) == 2
    assert "model.peft.method prompt is random before training; train first" in capsys.readouterr().err


@pytest.mark.parametrize("added, known", [((84, 85), 84), ((2, 3), 84), ((), 84)])
def test_added_tokens_alone_are_unsaid(added, known):
    """Also where the preset's table had room for them; other sizes are told by whoever assigns the bias."""
    size = max([known - 1, *added]) + 1
    bias = _with_added(np.arange(known, dtype=np.float32), keras.Variable(np.zeros(size)), added)
    assert bias.shape == (size,) and (bias[list(added)] == UNSAID).all()
    rest = np.setdiff1d(np.arange(known), added)
    np.testing.assert_array_equal(bias[rest], rest)
    assert len(_with_added(np.zeros(5, np.float32), keras.Variable(np.zeros(7)), (6,))) == 5
