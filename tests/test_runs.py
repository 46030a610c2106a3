import errno
import json
import os
import signal

import pytest

from kerasft.atomic import write_atomically
from kerasft.config.load import dump_config
from kerasft.config.schema import Config
from kerasft.errors import HungUp, Interrupted, StorageError, Terminated, UserError
from kerasft.run_folder import release
from kerasft.runs import Run


@pytest.fixture
def config(tmp_path):
    def make(**training):
        return Config.model_validate(
            {
                "name": "n",
                "task": {"name": "text_classification"},
                "model": {"preset": "x"},
                "data": {"train": "x", "columns": {"text": "t", "label": "l"}},
                "training": training,
                "output": {"dir": str(tmp_path / "runs")},
                "export": {"dir": str(tmp_path / "saved")},
            }
        )

    return make


def begun(config: Config) -> Run:
    run = Run.plan(config)
    (run.folder / "checkpoints").mkdir(parents=True)
    (run.folder / "data.json").write_text("{}")
    (run.folder / "config.yaml").write_text(dump_config(config))
    return run


def test_planning_writes_nothing(config, tmp_path):
    Run.plan(config())
    assert list(tmp_path.iterdir()) == []


def test_resuming_needs_the_config_the_run_began_with(config):
    run = begun(config(batch_size=8))
    assert Run.plan(config(batch_size=8), resume=True).folder == run.folder
    with pytest.raises(UserError, match=r"training.batch_size: 16, but .* began with 8"):
        Run.plan(config(batch_size=16), resume=True)


def test_resuming_needs_the_data_the_run_began_with(config):
    class Data:
        def __init__(self, text):
            self.text = text

        def fingerprint(self):
            return self.text

    run = begun(config())
    (run.folder / "data.json").write_text(json.dumps({"train": "a", "test": "b"}))
    run.begin({"train": Data("a"), "test": Data("b")}, resume=True)
    with pytest.raises(UserError, match="data.test"):
        run.begin({"train": Data("a"), "test": Data("c")}, resume=True)


def test_the_record_of_what_was_done_with_the_rows_is_there_from_the_beginning(config):
    run, record = Run.plan(config()), {"counts": {}, "rows": [{"where": "a.csv:3"}]}
    run.begin({}, cleaning=record)
    assert run.load_json("cleaning.json") == record
    release(run.folder)


def test_a_finished_run_is_not_resumed_and_an_unfinished_one_not_opened(config):
    run = begun(config())
    with pytest.raises(UserError, match="no trained model"):
        Run.open(run.folder)
    run.write_json("metrics.json", {})
    Run.plan(config(), resume=True)  # its export may be missing
    run.end()
    with pytest.raises(UserError, match="finished"):
        Run.plan(config(), resume=True)


def test_an_unwritable_place_is_named(config, tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(UserError, match="output.dir: .* is a file"):
        Run.plan(config())


def test_ctrl_c_outside_the_training_loop_says_how_to_go_on(config, monkeypatch):
    run = begun(config())
    with pytest.raises(Interrupted, match="--overwrite"), run.interruptible():
        raise KeyboardInterrupt
    run.write_json("checkpoints/ckpt-1.json", {})
    with pytest.raises(Interrupted, match="--resume"), run.interruptible():
        raise KeyboardInterrupt
    with pytest.raises(Terminated, match="terminated; .*--resume"), run.interruptible():
        os.kill(os.getpid(), signal.SIGTERM)
    monkeypatch.setattr(
        "kerasft.console.signals.signals_heeded", lambda: [signal.SIGHUP]
    )  # though these run under nohup
    with pytest.raises(HungUp, match="terminal was closed; .*--resume"), run.interruptible():
        os.kill(os.getpid(), signal.SIGHUP)
    with pytest.raises(StorageError, match="No space left on device; fix that, then .*--resume"), run.interruptible():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(run.folder / "model"))
    run.write_json("metrics.json", {})
    with pytest.raises(Interrupted, match="kerasft.export"), run.interruptible():
        raise KeyboardInterrupt


def test_what_a_killed_process_left_is_removed_when_the_run_goes_on(config):
    run = begun(config())
    (run.folder / ".model-abcdefgh").mkdir()
    (run.folder / "predictions").mkdir()
    (run.folder / "predictions" / ".test.jsonl-abcdefgh.tmp").write_text("half")
    (run.folder.parent / ".n-abcdefg1").mkdir()
    (run.folder.parent / ".n-2-abcdefg1").mkdir()  # of another run, n-2
    Run.plan(config(), resume=True).begin({}, resume=True)
    assert [path.name for path in run.folder.parent.rglob(".*")] == [".n-2-abcdefg1", ".lock"]
    with run.interruptible():
        pass  # the run is over
    assert [path.name for path in run.folder.parent.rglob(".*")] == [".n-2-abcdefg1"]


def test_only_a_run_is_replaced(config, tmp_path):
    folder = tmp_path / "runs" / "n"
    folder.mkdir(parents=True)
    Run.plan(config(), overwrite=True)  # empty
    (folder / "config.yaml").write_text("mine: true")
    (folder / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match=r"n is not a run .*, so --overwrite leaves it alone; choose another name"):
        Run.plan(config(), overwrite=True)
    assert (folder / "thesis.txt").read_text() == "precious"


def test_a_run_in_which_another_process_works_is_refused_before_anything_is_read(config):
    run = begun(config())
    run.begin({}, resume=True)
    for options in ({"resume": True}, {"overwrite": True}):
        with pytest.raises(UserError, match="n: process .* works in it; wait for its end"):
            Run.plan(config(), **options)
    release(run.folder)
    Run.plan(config(), resume=True)


def test_the_model_of_a_run_has_a_name_that_no_other_has(config):
    run = Run.plan(config())
    run.begin({})
    assert run.identity() is None  # nothing is trained
    run.write_json("metrics.json", {"training": {"sha256": "abc"}})
    before = run.identity()
    assert before["sha256"] == "abc"
    run.begin({}, overwrite=True)
    run.write_json("metrics.json", {"training": {"sha256": "abc"}})
    assert run.identity() != before
    release(run.folder)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = write_atomically(tmp_path / "deep" / "a.json", "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]


def test_what_a_task_learnt_has_a_name_that_kerashub_does_not_read(config):
    """Runs of before have it as task.json, which KerasHub takes for its own."""
    run = begun(config())
    (run.folder / "model").mkdir()
    for name in ("task.json", "kerasft_task.json"):
        (run.folder / "model" / name).write_text(json.dumps({"task": "text_classification", "state": {"from": name}}))
        assert Run.open(run.folder).load_state() == {"from": name}
