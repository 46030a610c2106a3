"""The files of each tutorial in docs/ are what its commands need: configs are valid, and every row is read."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kerasft.config.load import load_config
from kerasft.data.splits import load_splits
from kerasft.tasks.registry import create_task

TUTORIALS = Path(__file__).parent.parent / "docs" / "tutorials"
FILE = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", sorted(TUTORIALS.glob("*.md")), ids=lambda page: page.stem)
def test_the_files_of_a_tutorial_are_read(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = dict(FILE.findall(page.read_text(encoding="utf-8")))
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8")
    if "make.py" in files:
        subprocess.run([sys.executable, "make.py"], check=True)
    configs = [name for name in files if name.endswith(".yaml")]
    assert configs
    for name in configs:
        config = load_config(name)
        task = create_task(config)
        task.check_config()
        tables = load_splits(config, task, lambda line: None)
        assert {"train", "validation"} <= set(tables) and all(tables.values())
