"""Every config in configs/ is valid and says in its header what it is, how to run it and where its data come from."""

import importlib.util
import pathlib
import re
from pathlib import Path

import pytest

from kerasft import train
from kerasft.config.header import header_line
from kerasft.config.load import dump_config, load_config
from kerasft.tasks.registry import create_task

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("get_data", ROOT / "configs" / "get_data.py")
get_data = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(get_data)
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def test_there_are_configs():
    assert {"quickstart", "reuters-r52", "stsb", "go-emotions"} <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config(path, tmp_path):
    config = load_config(path)
    create_task(config).check_config()
    copy = tmp_path / "config.yaml"
    copy.write_text(dump_config(config), encoding="utf-8")
    assert load_config(copy) == config


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_header(path):
    header = "".join(line for line in path.read_text(encoding="utf-8").splitlines(True) if line.startswith("#"))
    assert f"# command: python -m kerasft.train configs/{path.name}\n" in header
    assert "# source: " in header
    assert "# measured: " in header


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_packages_are_pinned_by_hash(path):
    sources = re.findall(r"pypi:\S+", path.read_text(encoding="utf-8"))
    assert all(re.search(r"#sha256=[0-9a-f]{64}$", source) for source in sources)


def sources_of(config):
    named = (config.data.train, config.data.validation, config.data.test)
    lists = ([each] if isinstance(each, str) else each for each in named if isinstance(each, (str, list)))
    return [source for sources in lists for source in sources]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_stranger_gets_the_data(path):
    """From a package index or a hub, or by the line of the header, which fetches each file that the recipe reads."""
    fetched = header_line(path, "data").removeprefix("python configs/get_data.py").split()
    assert set(fetched) <= set(get_data.SOURCES)
    for source in sources_of(load_config(path)):
        if source == "leave_one_out" or source.startswith(("pypi:", "tfds:", "hf:")):
            continue
        root, name, file = Path(source).parts
        assert root == "data" and name in fetched
        assert Path(file).stem in get_data.SOURCES[name][3]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_data_that_are_not_there_end_with_the_line_that_gets_them(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    how = header_line(path, "data")
    if how:
        monkeypatch.setattr("kerasft.session.fit_max_length", lambda config: config)
        assert train.main([str(path)]) == 2
        assert capsys.readouterr().err.endswith(f": not found; get it by: {how}\n")
        assert train.main([str(path), "data.train=mine.csv"]) == 2
        assert "get it by" not in capsys.readouterr().err


def test_names_are_unique():
    names = [load_config(path).name for path in CONFIGS]
    assert len(set(names)) == len(names)
