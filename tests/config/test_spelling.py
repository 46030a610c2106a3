"""What a user meant by a key, a value or an option that there is not; and that no sentence of pydantic's is shown."""

import re

import pytest

from kerasft.config.load import load_config
from kerasft.config.schema import Config
from kerasft.config.sections import literals, sections
from kerasft.config.spelling import KEYS, VALUES, nearest_key, suggest_key
from kerasft.errors import UserError

PYDANTIC = re.compile(r"(?i)\binput |should be|unable to|valid (string|integer|number|list|dict)")
TEXT = """\
name: news
task: {name: text_classification}
model: {preset: ./weights}
data: {train: train.csv, columns: {text: Text, label: Category}}
"""


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Returns a function: overrides, and lines to add to a config, -> the lines of its mistakes."""
    monkeypatch.chdir(tmp_path)

    def mistakes(*overrides, text=TEXT):
        (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(UserError) as caught:
            load_config("a.yaml", overrides)
        return caught.value.lines

    return mistakes


@pytest.mark.parametrize(
    ("option", "value", "meant"),
    [
        ("--epochs", "5", "training.epochs=5"),
        ("--num-train-epochs", None, "training.epochs=VALUE"),
        ("--training.seed", None, "seed=VALUE"),
        ("--model.max-length", "64", "model.max_length=64"),
        ("--precision", "bf16", "training.precision=mixed_bfloat16"),
        ("--task", "translation", "task.name=seq2seq"),
        ("--learning-rate", "3e-4", "training.optimizer.learning_rate=3e-4"),
    ],
)
def test_an_option_that_is_a_key(option, value, meant):
    suggestion = suggest_key(option, value)
    assert suggestion is not None and suggestion.endswith(f": {meant}")


def test_an_option_like_nothing_has_no_suggestion():
    assert suggest_key("--frobnicate", "1") is None


@pytest.mark.parametrize(
    ("override", "fix"),
    [
        ("training.optimizer=lion", "write training.optimizer.name=lion"),
        ("model=hf:google-bert/bert-base-cased", "write model.preset=hf:google-bert/bert-base-cased"),
        ("output=results", "write output.dir=results"),
        ("task=mlm", "write task.name=masked_lm"),
        ("training.early_stopping=accuracy", "write training.early_stopping.metric=accuracy"),
        ("task.name=summarization", "did you mean seq2seq?"),
        ("task.name=Text-Classification", "did you mean text_classification?"),
        ("training.strategy=ddp", "did you mean mirrored?"),
        ("lr=1", "did you mean training.optimizer.learning_rate?"),
        ("training.warmup_steps=5", "did you mean training.optimizer.warmup?"),
        ("task.labels=spam", "write [spam]"),
        ("name=2024", "put it in quotes: name='\"2024\"'"),
        ("task.labels=[one]", "has 1 item; write 2 or more"),
        ("data.cache=''", "is empty; write 1 character or more"),
    ],
)
def test_what_was_meant_on_the_command_line(told, override, fix):
    (line,) = told(override)
    assert line.startswith("command line: ") and line.endswith(fix)


def test_what_was_meant_in_a_file(told):
    assert told(text=TEXT + "training: {optimizer: sgd}\n") == [
        'a.yaml:5: training.optimizer: "sgd" is not a section of keys; write optimizer: {name: sgd}'
    ]


@pytest.mark.parametrize("wrong", [3.5, -7, True, "x y", [], [[1]], {"a": {"b": 1}}, float("nan"), "", 10**30])
def test_no_sentence_of_pydantic_reaches_a_user(told, wrong):
    paths = [f"{at}.{key}".lstrip(".") for at, section in sections(Config) for key in section.model_fields]
    for path in dict.fromkeys(paths):
        try:
            load_config_with(path, wrong)
        except UserError as error:
            assert not re.search(
                r"(?i)\binput |should be|unable to|valid (string|integer|number|list|dict)", str(error)
            )


def load_config_with(path, value):
    """A config from Python values, as `override_config` reads it."""
    from pydantic import ValidationError

    from kerasft.config.mistakes import explain
    from kerasft.config.yaml_text import read_yaml
    from kerasft.errors import UserErrors

    values = read_yaml(TEXT, "x").values
    at = values
    *above, last = path.split(".")
    for part in above:
        at[part] = dict(at.get(part) or {})
        at = at[part]
    at[last] = value
    try:
        Config.model_validate(values)
    except ValidationError as error:
        raise UserErrors(explain(error, Config, values, lambda path: "command line", lambda path: 0)) from error


def test_words_of_other_tools_lead_to_keys_and_values_that_there_are():
    paths = {f"{at}.{key}".lstrip(".") for at, section in sections(Config) for key in section.model_fields}
    assert set(KEYS.values()) <= paths
    assert all(nearest_key(word) in paths for word in KEYS)
    values = {value for path in paths for value in literals(path)}
    assert set(VALUES.values()) <= values
