"""Defaults that fit a preset with few positions."""

import pathlib
import shutil

import pytest

from kerasft.config.load import load_config
from kerasft.models.heads.question_answerer import QuestionAnswerer
from kerasft.models.heads.token_classifier import TokenClassifier
from kerasft.models.presets.positions import fit_max_length, positions_of
from kerasft.models.presets.presets import resolve_preset

FOLDERS = pathlib.Path(__file__).parents[2] / "fixtures" / "hugging_face"
CONFIG = """\
name: tiny
task: {task}
model: {{preset: {preset}{more}}}
data: {{train: x.jsonl, columns: {columns}}}
"""
TASKS = {
    "text_classification": "{text: text, label: label}",
    "question_answering": "{question: question, context: context, answers: answers, id: id}",
}


def config(folder, preset, more="", task="text_classification"):
    (folder / "a.yaml").write_text(
        CONFIG.format(preset=preset, more=more, task=f"{{name: {task}}}", columns=TASKS[task]), encoding="utf-8"
    )
    return load_config(folder / "a.yaml", [])


@pytest.mark.parametrize(
    ("name", "positions"), [("bert", 40), ("roberta", 38), ("gpt2", 20), ("xlm-roberta", 38), ("llama", None)]
)
def test_positions_of_a_folder(name, positions):
    assert positions_of(resolve_preset(str(FOLDERS / name))) == positions


def test_a_default_fits(tiny_preset, tmp_path):
    assert fit_max_length(config(tmp_path, FOLDERS / "bert")).model.max_length == 40
    assert fit_max_length(config(tmp_path, tiny_preset)).model.max_length == 64  # KerasHub's form
    assert fit_max_length(config(tmp_path, FOLDERS / "llama")).model.max_length == 128
    assert fit_max_length(config(tmp_path, FOLDERS / "bert", ", max_length: 99")).model.max_length == 99
    fitted = fit_max_length(config(tmp_path, FOLDERS / "bert", task="question_answering"))
    assert (fitted.model.max_length, fitted.task.max_question_length, fitted.task.stride) == (40, 20, 20)


def test_an_architecture_of_few_positions(tmp_path):
    more = ", architecture: {family: bert, positions: 16}"
    assert config(tmp_path, "null", more).model.max_length == 16


def test_defaults_from_python(tmp_path):
    folder = str(shutil.copytree(FOLDERS / "bert", tmp_path / "bert"))
    assert QuestionAnswerer.from_preset(folder).preprocessor.max_length == 40
    assert TokenClassifier.from_preset(folder, ["PER"]).preprocessor.max_length == 40
