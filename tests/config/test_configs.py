"""Every config in configs/ is valid and says in its header what it is, how to run it and where its data come from."""

import pathlib
import re

import pytest

from kerasft.config.load import dump_config, load_config
from kerasft.tasks.registry import create_task

ROOT = pathlib.Path(__file__).resolve().parents[2]
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


def test_names_are_unique():
    names = [load_config(path).name for path in CONFIGS]
    assert len(set(names)) == len(names)
