"""The signature `explain`: it passes the check of an export, and gives what the run gives."""

import numpy as np
import pytest
from support.rarely import rarely
from support.tiny_models import TASKS, make_tiny

from kerasft.attribution.explainer import Explainer
from kerasft.attribution.registry import create
from kerasft.config.schema import Config
from kerasft.inference.export import Export
from kerasft.inference.local import LocalPredictor
from kerasft.runs import Trained
from kerasft.serving.exporter import export
from kerasft.tasks.registry import create_task

TEXTS = ["goal in the match, naïve 😀", "the bank", "", "stock " * 40]


@pytest.mark.parametrize("method", [*rarely("gradient_times_input"), "integrated_gradients"])
def test_served_explanations_are_the_runs(tiny_preset, tmp_path, method):
    task, preprocessor, model = make_tiny(tiny_preset, "single_label")
    values = task.config.model_dump() | {"export": {"dir": str(tmp_path), "explain": method}}
    task = create_task(Config.model_validate(values), task.state)
    config = task.config.model_dump(mode="json")
    version = export(task, preprocessor, model, tmp_path / "m", {"config": config, "state": task.state})
    served = LocalPredictor(Export.open(version).load()).explain(TEXTS)
    local = list(
        Explainer(Trained(task, preprocessor, model)).explain([{"text": t} for t in TEXTS], create(method, 32))
    )
    for one, other in zip(served, local, strict=True):
        assert one["label"] == other["label"] and one["method"] == method
        assert one["value"] == pytest.approx(other["value"], abs=1e-5)
        for mine, theirs in zip(one["words"], other["words"], strict=True):
            assert {**mine, "score": 0} == {**theirs, "score": 0}
            if other["points"] in (1, 32):  # a run doubles its points until the gap is small
                assert mine["score"] == theirs["score"] or np.isclose(mine["score"], theirs["score"], atol=2e-5)


def test_it_is_for_one_label():
    task, columns, _ = TASKS["regression"]
    with pytest.raises(ValueError, match=r"export\.explain: gradient_times_input is for text_classification with one"):
        Config.model_validate(
            {
                "name": "t",
                "task": task,
                "model": {"preset": "x"},
                "data": {"train": "x", "columns": columns},
                "export": {"explain": "gradient_times_input"},
            }
        )
