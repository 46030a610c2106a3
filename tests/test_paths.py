"""What a path, a name, a home and an environment can be: what can't be used is found before anything is read."""

import os
from pathlib import Path

import pytest

from kerasft import check_servable, export, serve, verify
from kerasft.config.load import load_config
from kerasft.console.terminal import run_program
from kerasft.errors import UserError
from kerasft.paths import check_folder, check_home, check_no_pattern, expand_home
from kerasft.runs import Run

TEXT = """\
name: news
task: {name: text_classification}
model: {preset: ./weights}
data: {train: train.csv, columns: {text: Text, label: Category}}
"""
FOLDERS = ("output.dir", "export.dir", "training.checkpoint.dir")


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Returns a function that plans the run of a config with overrides."""
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(TEXT, encoding="utf-8")
    return lambda *overrides: Run.plan(load_config("a.yaml", overrides))


@pytest.mark.parametrize("key", FOLDERS)
@pytest.mark.parametrize("folder", ["old [2]", "a*", "what?", "back\\slash", "up [1]/x", "gs://bucket/a[b]"])
def test_a_folder_that_tensorflow_reads_as_a_pattern_is_refused_before_anything_is_read(plan, key, folder):
    with pytest.raises(UserError, match=f"{key}: .*pattern; rename"):
        plan(f"{key}='{folder}'")
    assert os.listdir() == ["a.yaml"]


@pytest.mark.parametrize(
    "folder", ["with space", "中文", "🙂", "it's", "a]b", "-x", "trailing.", "$HOME", "a b/c;d", "#1", "%20"]
)
def test_any_other_folder_is_taken_as_it_is(plan, folder):
    plan(*(f"{key}={yaml_text(folder)}" for key in FOLDERS), f"data.cache={yaml_text(folder)}")
    assert os.listdir() == ["a.yaml"]


def yaml_text(text):
    return '"' + text.replace('"', '\\"') + '"'


def test_a_tilde_is_the_home_folder(plan, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    (tmp_path / "me").mkdir()
    run = plan("output.dir=~/runs", "export.dir=~/models", "training.checkpoint.dir='~'", "data.cache=~/cache")
    assert run.folder == tmp_path / "me" / "runs" / "news"
    config = run.config
    assert config.export.dir == f"{tmp_path}/me/models" and config.data.cache == f"{tmp_path}/me/cache"
    assert config.training.checkpoint.dir == f"{tmp_path}/me"


def test_a_home_that_there_is_not(plan, monkeypatch):
    with pytest.raises(
        UserError, match="output.dir: ~nobody-of-this-name/x: there is no user nobody-of-this-name here"
    ):
        plan("output.dir=~nobody-of-this-name/x")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # HOME unset, and a user whom /etc/passwd lacks
    with pytest.raises(ValueError, match="HOME is not set; write the whole path"):
        expand_home("~/runs")
    with pytest.raises(UserError, match="HOME is not set.*set it to a folder"):
        check_home()
    with pytest.raises(UserError, match="HOME is not set"):
        plan()


@pytest.mark.parametrize("name", ["..", ".", "a/b", "-x", ".hidden", "a b", "名", "🙂", "", "a[1]", "x" * 201])
def test_a_name_that_no_folder_or_server_should_have(plan, name):
    with pytest.raises(UserError, match="command line: name: "):
        plan(f"name={yaml_text(name)}")


@pytest.mark.parametrize("key", FOLDERS)
@pytest.mark.parametrize(
    "folder", ["x" * 250, "x" * 300, "名" * 85, "/".join(["x" * 200] * 20), "/".join(["x" * 200] * 30)]
)
def test_a_path_that_is_too_long_is_found_before_training(plan, key, folder):
    with pytest.raises(UserError, match=f"{key}: .*(too long|bytes long)") as caught:
        plan(f"{key}={folder}")
    assert len(str(caught.value)) < 250


def test_a_run_is_written_to_this_machine(plan):
    for key in ("output.dir", "export.dir"):
        with pytest.raises(UserError, match=f"{key}: 'gs://bucket/runs/news' is not on this machine"):
            plan(f"{key}=gs://bucket/runs")


def test_a_folder_below_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="output.dir: .*file is a file; name a folder"):
        check_folder(f"{tmp_path}/file/x", "output.dir")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_is_read_only(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="can't be written"):
        check_folder(f"{tmp_path}/x", "output.dir")


def test_a_path_with_a_zero_byte(plan):
    with pytest.raises(UserError, match="output.dir: .*zero byte"):
        plan('output.dir="a\\0b"')


def test_programs_refuse_a_folder_that_tensorflow_reads_as_a_pattern(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = Path("served [1]")
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "saved_model.pb").write_bytes(b"")
    for program in (check_servable.main, serve.main, verify.main):
        assert program([str(folder)]) == 2
        assert "as a pattern; rename the folder" in capsys.readouterr().err


def test_export_refuses_a_folder_before_the_model_is_loaded(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "kerasft_task.json").write_text("{}")
    (tmp_path / "config.yaml").write_text(TEXT)
    for directory in ("a[1]", "s3://bucket", "x" * 300, "~nobody-of-this-name"):
        with pytest.raises(UserError, match="^--dir: "):
            export.export(tmp_path, directory, False)


def test_a_path_that_is_too_long_is_one_line_in_any_program(capsys):
    assert run_program(lambda: bool(Path("x" * 5000).is_file())) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: xxx") and "too long" in line and len(line) < 150


def test_a_plain_bracket_that_closes_nothing_is_no_pattern():
    check_no_pattern("a]", "x")
    with pytest.raises(UserError):
        check_no_pattern("a[", "x")
