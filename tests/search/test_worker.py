"""Workers of a search: kills, several at once, dead ones; with trials that take no training."""

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from optuna.trial import TrialState
from support.fake_search import FakeRunner, write_config

from kerasft.config.load import load_config
from kerasft.console.terminal import Silent
from kerasft.errors import UserError
from kerasft.search.command import run_search
from kerasft.search.folder import SearchFolder
from kerasft.search.store import Store
from kerasft.search.workers import Member

SCRIPT = Path(__file__).parents[1] / "support" / "fake_search.py"


def searched(config: Path, trials: int, runner=None, **options) -> dict | None:
    return run_search(str(config), trials=trials, terminal=Silent(), runner=runner or FakeRunner(), **options)


def table(config: Path) -> list[dict[str, str]]:
    text = (config.parent / "runs" / "fake-search" / "trials.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@pytest.fixture
def config(tmp_path, tiny_preset) -> Path:
    return write_config(tmp_path, tiny_preset)


def test_a_search_leaves_the_best_as_a_config_and_opens_test_once(config):
    runner = FakeRunner()
    winner = searched(config, 12, runner)
    folder = config.parent / "runs" / "fake-search"
    rows = table(config)
    states = [row["state"] for row in rows]
    assert len(rows) == 12 and {"complete", "pruned"} == set(states)
    best = max((row for row in rows if row["state"] == "complete"), key=lambda row: float(row["headline"]))
    assert int(best["trial"]) == winner["trial"] and winner["tests_opened"] == runner.tests == 1
    written = load_config(folder / "winner.yaml")
    assert str(written.training.optimizer.learning_rate) == best["training.optimizer.learning_rate"]
    assert (written.name, written.search, written.data.test) == ("fake-winner", None, "x.jsonl")
    assert written.export.enabled and written.output.dir == str(config.parent / "runs")
    assert len(winner["repeats"]["values"]) == 2 and winner["repeats"]["optimism"] == 0  # seeds change nothing here
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Optimism" in page and best["training.optimizer.learning_rate"] in page
    models = sorted(path.parent.name for path in folder.glob("trials/*/model"))
    assert models == [f"trial-{winner['trial']:04d}"]


def test_a_search_that_goes_on_has_the_trials_of_one_that_never_stopped(config, tmp_path, tiny_preset):
    searched(config, 14)
    other = write_config(tmp_path_of(tmp_path, "other"), tiny_preset)
    for trials in (3, 9, 14):
        searched(other, trials, resume=trials > 3)
    assert table(config) == table(other)
    with pytest.raises(UserError, match="exists; add --resume"):
        searched(other, 14)
    with pytest.raises(UserError, match="search.factor: 2, but"):
        run_search(str(other), ["search.factor=2"], resume=True, terminal=Silent(), runner=FakeRunner())
    with pytest.raises(UserError, match="training.batch_size"):
        run_search(str(other), ["training.batch_size=4"], resume=True, terminal=Silent(), runner=FakeRunner())


def tmp_path_of(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder


class Killed(BaseException):
    """Stands for a kill: nothing that a search catches."""


def test_killed_between_any_two_writes_it_goes_on_with_the_same_table(config, tmp_path, tiny_preset, monkeypatch):
    searched(config, 8)
    other = write_config(tmp_path_of(tmp_path, "other"), tiny_preset)
    written, kill_at, source = 0, None, random.Random(0)
    backend = type(Store(str(tmp_path / "j.log"), "x", ["maximize"]).storage._backend)
    append = backend.append_logs

    def append_or_die(self, logs):
        nonlocal written, kill_at
        written += 1
        if kill_at is not None and written >= kill_at:
            kill_at = None
            raise Killed
        append(self, logs)

    monkeypatch.setattr(backend, "append_logs", append_or_die)
    for _ in range(200):
        kill_at, written = source.randrange(2, 12), 0
        try:
            searched(other, 8, resume=(other.parent / "runs" / "fake-search").exists())
            break
        except Killed:
            pass
    else:
        pytest.fail("it never came to its end")
    assert table(other) == table(config)


def test_killed_five_times_by_sigkill_the_table_is_that_of_an_undisturbed_search(config, tmp_path, tiny_preset):
    searched(config, 12)
    other = write_config(tmp_path_of(tmp_path, "other"), tiny_preset)
    source, environment = random.Random(0), os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    def start() -> subprocess.Popen:
        return subprocess.Popen([sys.executable, str(SCRIPT), str(other), "12", "0.05"], env=environment)

    for kill in range(1, 6):
        process = start()
        journal = other.parent / "runs" / "fake-search" / "journal.log"
        while len(list(journal.parent.glob("trials.csv")) and table(other)) < kill:  # it does something each time
            time.sleep(0.02)
            assert process.poll() is None
        time.sleep(source.random() * 0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start().wait() == 0
    assert table(other) == table(config)


def together(config: Path, trials: int) -> list[FakeRunner]:
    """Two workers of one search, as threads; what each of them ran."""
    searched(config, 1)  # the folder is there
    runners = [FakeRunner(0.01), FakeRunner(0.01)]
    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(searched, config, trials, runner, resume=True) for runner in runners]:
            done.result()
    return runners


def check_together(config: Path) -> None:
    runners = together(config, 10)
    ran = [name for runner in runners for name in runner.jobs if name.startswith("trial-") and "seed" not in name]
    assert sorted(ran) == [f"trial-{number:04d}" for number in range(1, 10)]  # none twice, none lost
    assert all(any("seed" not in name for name in runner.jobs) for runner in runners)
    assert [row["trial"] for row in table(config)] == [str(number) for number in range(10)]


@pytest.mark.parametrize("store", ["journal", "sqlite"])
def test_two_workers_share_a_search(tmp_path, tiny_preset, store):
    where = {"store": f"sqlite:///{tmp_path}/s.db"} if store == "sqlite" else {}
    check_together(write_config(tmp_path, tiny_preset, **where))


def test_two_workers_share_a_search_on_postgresql(tmp_path, tiny_preset, postgresql):
    check_together(write_config(tmp_path, tiny_preset, store=postgresql))


@pytest.fixture
def postgresql():
    """The URL of a server of this test alone; skipped where there is none installed."""
    folder = Path("/tmp") / f"kerasft-postgresql-{os.getpid()}"  # a socket's path has to be short
    program = shutil.which("postgres")
    if program is None:
        pytest.skip("no PostgreSQL server here")
    tools = Path(program).resolve().parent
    folder.mkdir()
    user = "nobody" if os.getuid() == 0 else None  # it does not run as root
    if user is not None:
        shutil.chown(folder, user)
    initdb = [str(tools / "initdb"), "-D", str(folder / "data"), "-U", "me", "-A", "trust", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True, cwd="/", user=user)
    command = [str(tools / "postgres"), "-D", str(folder / "data"), "-k", str(folder), "-h", "", "-F"]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd="/", user=user)
    try:
        while not list(folder.glob(".s.PGSQL.*[0-9]")):
            assert server.poll() is None
            time.sleep(0.05)
        time.sleep(0.2)
        yield f"postgresql://me@/postgres?host={folder}"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def test_the_trial_of_a_dead_worker_is_taken_over_by_one_alone(config):
    search = SearchFolder.of(load_config(config))
    search.begin(False)
    store = Store(search.store, "fake-search", ["maximize"])
    dead = Member(search.path, 60)
    with dead:
        trial = store.begin(dead.name, 5)
        assert trial is not None
        with Member(search.path, 60) as other:
            assert not other.is_dead(dead.name, trial)
    with Member(search.path, 60) as one, Member(search.path, 60) as two:
        assert one.is_dead(dead.name, trial) and two.is_dead(dead.name, trial)
        assert store.claim(trial, one.name, dead.name)
        assert not store.claim(trial, two.name, dead.name)
        assert store.owner(trial) == one.name


def test_a_worker_of_another_machine_is_dead_when_it_no_longer_beats(config):
    search, now = SearchFolder.of(load_config(config)), [0.0]
    search.begin(False)
    store = Store(search.store, "fake-search", ["maximize"])
    trial = store.begin("elsewhere:1-2:3:abc", 5)
    with Member(search.path, 60, clock=lambda: now[0]) as member:
        for second, beat, dead in [(0, 0, False), (50, 1, False), (100, 1, False), (111, 1, True), (112, 2, False)]:
            now[0] = float(second)
            store.beat(trial, beat)
            assert member.is_dead("elsewhere:1-2:3:abc", store.trial(0)) == dead, second


def test_half_a_line_of_a_killed_writer_is_cut_off(config):
    searched(config, 2)
    journal = config.parent / "runs" / "fake-search" / "journal.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code": 4, "worker')
    searched(config, 3, resume=True)
    assert len(table(config)) == 3


def test_a_value_that_changes_after_an_interruption_is_an_error(config):
    store = Store(str(config.parent / "j.log"), "x", ["maximize"])
    trial = store.begin("me", 1)
    store.report(trial, 10, 0.5)
    store.report(trial, 10, 0.5)
    with pytest.raises(UserError, match="step 10 has 0.6, and before the interruption it had 0.5"):
        store.report(trial, 10, 0.6)


def test_values_that_the_schema_refuses_together_fail_alone(config):
    space = (
        "search.space={training.label_smoothing: {choice: [0, 0.1]}, training.objective.name: {choice: [focal, fgm]}}"
    )
    run_search(
        str(config), [space, "search.sampler=grid", "search.pruner=none"], terminal=Silent(), runner=FakeRunner()
    )
    failed = [row for row in table(config) if row["state"] == "failed"]
    assert len(failed) == 1 and len(table(config)) == 4
    assert all("label_smoothing: 0.1 does not go with" in row["why"] for row in failed)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            "search.space={training.batch_size: {choice: [8, 16]}}",
            "set training.evaluate_every, or search.pruner: none",
        ),
        ("search.space={seed: {whole: [0, 9]}}", "is the same for all trials"),
        ("search.objectives=[headline, size]", None),
        ("search.objectives=[size]", "write headline first"),
        (
            "search={sampler: cmaes, space: {training.optimizer.learning_rate: {log: [1e-5, 1e-3]}}}",
            "cmaes needs two ranges or more",
        ),
        ("continual={method: replay, stages: 2}", "continual: kerasft search needs a config that trains one run"),
        ("search.store=sqlite:////proc/x/y.db", "search.store"),
        ("data.columns={text: t}", "data.columns.label: missing"),
        ("data.train=none.jsonl", "none.jsonl"),
    ],
)
def test_mistakes_are_found_before_a_trial(config, change, message):
    if message is None:
        winner = run_search(str(config), [change], trials=4, terminal=Silent(), runner=FakeRunner())
        assert winner["objectives"].keys() == {"headline", "size"}
        return
    runner = FakeRunner()
    with pytest.raises((UserError, OSError)) as caught:
        run_search(str(config), [change], terminal=Silent(), runner=runner)
    assert message in str(caught.value) or isinstance(caught.value, OSError)
    assert runner.jobs == [] and ("sqlite" in change or not (config.parent / "runs").exists())


def test_the_hours_are_over(config):
    with pytest.raises(UserError, match="no trial came to its end"):
        searched(config, 5, hours=1e-9)
    with pytest.raises(UserError, match="--hours 0"):
        searched(config, 5, hours=0)


def test_a_grid_ends_with_its_points(tmp_path, tiny_preset):
    config = write_config(
        tmp_path, tiny_preset, sampler="grid", space={"training.optimizer.name": {"choice": ["adamw", "lion"]}}
    )
    searched(config, 50)
    assert [row["training.optimizer.name"] for row in table(config)] == ["adamw", "lion"]
    states = [
        trial.state
        for trial in Store(f"{config.parent}/runs/fake-search/journal.log", "fake-search", ["maximize"]).trials()
    ]
    assert TrialState.RUNNING not in states
