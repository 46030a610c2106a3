"""`kerasft config` and the page that documents every key."""

import json
import pathlib

import pytest

from kerasft.config.commands import key_tables, main
from kerasft.config.load import load_config
from kerasft.config.schema import Config
from kerasft.config.sections import sections

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_it_prints_the_resolved_config(capsys, tmp_path):
    assert main([str(ROOT / "configs/quickstart.yaml"), "training.epochs=1"]) == 0
    path = tmp_path / "printed.yaml"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    assert load_config(path) == load_config(ROOT / "configs/quickstart.yaml", ["training.epochs=1"])


def test_it_prints_the_json_schema(capsys):
    assert main(["--schema"]) == 0
    assert json.loads(capsys.readouterr().out)["additionalProperties"] is False


@pytest.mark.parametrize("arguments", [[], ["--schema", "--keys"], ["a.yaml", "--schema"]])
def test_one_thing_is_asked_for(capsys, arguments):
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("error: kerasft config: give a CONFIG, --schema or --keys")


def test_the_documented_keys_are_those_of_the_schema():
    page = (ROOT / "docs/config.md").read_text(encoding="utf-8")
    assert page.split("<!-- keys -->\n")[1] == key_tables() + "\n", "kerasft config --keys prints the new tables"


def test_every_key_is_in_the_tables_with_its_meaning():
    rows = [line.split(" | ") for line in key_tables().splitlines() if line.startswith("| `")]
    keys = [key for _, model in sections(Config) for key in model.model_fields]
    assert [row[0].strip("| `") for row in rows] == keys
    assert all(len(row[-1].strip(" |")) > 3 for row in rows)
