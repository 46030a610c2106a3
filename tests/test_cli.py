"""`kerasft COMMAND` is `python -m kerasft.COMMAND`."""

import importlib
import importlib.metadata
import subprocess
import sys

import pytest

import kerasft
from kerasft.cli import COMMANDS, main


def kerasft_command(*arguments):
    command = [sys.executable, "-m", "kerasft", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_passes_its_arguments_on(command, monkeypatch):
    module = importlib.import_module(COMMANDS[command][0])
    seen = []
    monkeypatch.setattr(module, "main", lambda argv: seen.append(argv) or 7)
    assert main([command, "a.yaml", "--flag", "x=1"]) == 7
    assert seen == [["a.yaml", "--flag", "x=1"]]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_its_own_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: kerasft {command} ")
    assert f"Example: kerasft {command} " in " ".join(shown.split())


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {command} " in shown for command in COMMANDS)
    assert main([]) == 2


@pytest.mark.parametrize("word", ["-h", "help"])
def test_help_is_understood_as_people_ask_for_it(word, capsys, monkeypatch):
    assert main([word]) == 0
    assert "\n  train " in capsys.readouterr().out
    seen = []
    monkeypatch.setattr(importlib.import_module("kerasft.train"), "main", lambda argv: seen.append(argv) or 0)
    assert main([word, "train"]) == 0
    assert seen == [["--help"]]
    assert main([word, "trian"]) == 2


@pytest.mark.parametrize("word", ["--version", "-V", "version"])
def test_version(word, capsys):
    assert main([word]) == 0
    assert capsys.readouterr().out.startswith(f"kerasft {kerasft.__version__}, tensorflow 2.20")


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("trian", "error: kerasft trian: unknown command; did you mean train?\n"),
        ("zzz", f"error: kerasft zzz: unknown command; there are {', '.join(COMMANDS)}\n"),
    ],
)
def test_unknown_command(capsys, argument, line):
    assert main([argument]) == 2
    assert capsys.readouterr().err == line


def test_each_mistake_in_a_config_is_one_line_and_the_exit_code_is_2(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("name: x\ntsk: {}\nmodel: {preset: null}\n")
    done = kerasft_command("config", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: {path}:2: tsk: unknown key; did you mean task?\n"
        f"error: {path}:3: model: preset and architecture are both null; give one and leave the other null\n"
        f"error: {path}: data: missing; add it: Where the examples come from.\n"
    )


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["config", "--schema"]])
def test_it_answers_at_once_because_it_loads_nothing_slow(arguments):
    command = [sys.executable, "-X", "importtime", "-m", "kerasft", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "kerasft" in loaded
    assert not loaded & {"tensorflow", "keras", "keras_hub", "tensorflow_text", "scipy", "sklearn", "matplotlib"}


def test_the_console_script_is_the_same_program():
    scripts = importlib.metadata.entry_points(group="console_scripts", name="kerasft")
    assert [script.value for script in scripts] == ["kerasft.cli:main"]
