"""Attributions are those of Captum on the same weights; benchmarks/peers/captum_fixtures.py made the fixture."""

import json
from pathlib import Path

import numpy as np
import pytest

from kerasft.attribution.explainer import Explainer
from kerasft.attribution.integrated_gradients import IntegratedGradients
from kerasft.attribution.registry import create
from kerasft.config.schema import Config
from kerasft.models.heads.text_classifier import HEAD
from kerasft.models.presets.presets import load_backbone, load_tokenizer
from kerasft.runs import Trained
from kerasft.tasks.registry import create_task

FIXTURES = Path(__file__).parents[1] / "fixtures"
KNOWN = json.loads((FIXTURES / "captum.json").read_text())


@pytest.mark.parametrize("family", sorted(KNOWN["families"]))
def test_what_tokens_add_is_what_captum_says(family):
    expected, preset = KNOWN["families"][family], str(FIXTURES / "hugging_face" / family)
    labels = ["a", "b", "c"]
    values = {
        "name": "t",
        "task": {"name": "text_classification", "pooling": "mean", "labels": labels},
        "model": {"preset": preset, "max_length": 24},
        "data": {"train": "x", "columns": {"text": "t", "label": "l"}},
    }
    task = create_task(Config.model_validate(values), {"labels": labels})
    backbone = load_backbone(preset)
    preprocessor, model = task.preprocessor(backbone, load_tokenizer(preset)), task.build(backbone)
    model.get_layer(HEAD).set_weights([np.array(expected[name], np.float32) for name in ("kernel", "bias")])
    explainer = Explainer(Trained(task, preprocessor, model))
    for (asked,), row in zip(explainer.ask([{"text": row["text"]} for row in expected["rows"]]), expected["rows"]):
        question = asked.question
        assert question.features["token_ids"].tolist() == row["ids"] and question.index[0, 0] == row["label"]
        words = question.words
        for name in ("integrated_gradients", "gradient_times_input", "occlusion"):
            method = IntegratedGradients(KNOWN["points"], largest_gap=1.0) if name.startswith("int") else create(name)
            if name == "occlusion" and len(set(words[words >= 0])) < (words >= 0).sum():
                continue  # words of several tokens are hidden as a whole
            (found,) = method.attribute(explainer.model, [question])
            tokens = np.array(row[name])
            sums = np.bincount(words[words >= 0], tokens[words >= 0], minlength=question.count)
            np.testing.assert_allclose(found.words, sums, atol=1e-4, err_msg=name)
            assert found.value == pytest.approx(row["value"], abs=1e-4)
            if name != "gradient_times_input":
                assert found.baseline == pytest.approx(row["baseline"], abs=1e-4)
