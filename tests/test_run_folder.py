"""Whatever moment a process is killed at, the next one finds a run whole; and two never work in one folder."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kerasft import locks, run_folder
from kerasft.drafts import make_draft, remove_abandoned
from kerasft.errors import UserError
from kerasft.locks import LOCK, FolderLock, Held, held_by, locked
from kerasft.run_folder import check_free, hold, is_run, put_in_place, recover_run, release, remove_leftovers

FILES = {"config.yaml": "name: n\n", "data.json": "{}", "run.json": '{"id": "new"}'}
ROOT = Path(__file__).parent.parent
# A process that replaces a run, and stops for good at call number N of `os.rename` and `shutil.rmtree`.
STOPPED = """
import itertools, os, shutil, signal, sys
from pathlib import Path
from kerasft import run_folder
calls = itertools.count(1)
def deadly(call):
    def called(*arguments, **options):
        if next(calls) == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGSTOP)
        return call(*arguments, **options)
    return called
os.rename, shutil.rmtree = deadly(os.rename), deadly(shutil.rmtree)
run_folder.put_in_place(Path(sys.argv[1]), {"config.yaml": "new", "data.json": "{}", "run.json": "new"}, overwrite=True)
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs" / "n"


@pytest.fixture
def old_run(folder):
    """A run that is to be replaced, of a process that has ended."""
    put_in_place(folder, {**FILES, "run.json": "old"}, overwrite=False)
    for name in ("checkpoints", "adapter"):
        (folder / name).mkdir()
    release(folder)
    return folder


def beside(folder):
    return sorted(path.name for path in folder.parent.iterdir())


@pytest.mark.parametrize(("moment", "kept", "told"), [
    (1, "old", "killed before it began"),
    (2, "old", "the run from before is back"),
    (3, "new", "an --overwrite had replaced it"),
])  # fmt: skip
def test_an_overwrite_that_is_killed_at_any_moment_leaves_one_whole_run(old_run, moment, kept, told):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", STOPPED, str(old_run), str(moment)], env=environment)
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert len(beside(old_run)) == 2
        assert recover_run(old_run) == []  # nothing of a process that lives is touched
        assert len(beside(old_run)) == 2
    finally:
        process.kill()
        process.wait(timeout=60)
    assert any(told in line for line in recover_run(old_run))
    assert beside(old_run) == ["n"]
    assert (old_run / "run.json").read_text() == kept and is_run(old_run)
    assert recover_run(old_run) == []


def test_a_failure_between_the_renames_puts_the_run_back_at_once(old_run, monkeypatch):
    rename = os.rename

    def failing(source, target):
        if target == old_run and not str(source).endswith("-old"):
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(run_folder.os, "rename", failing)
    with pytest.raises(OSError, match="Input/output"):
        put_in_place(old_run, FILES, overwrite=True)
    assert beside(old_run) == ["n"] and (old_run / "run.json").read_text() == "old"
    check_free(old_run)


def test_the_newest_of_several_comes_back(folder, old_run):
    later = folder.with_name(".n-bbbbbbbb-old")
    folder.rename(folder.with_name(".n-aaaaaaaa-old"))
    put_in_place(folder, FILES, overwrite=False)
    release(folder)
    folder.rename(later)
    recover_run(folder)
    assert (folder / "run.json").read_text() == FILES["run.json"] and beside(folder) == ["n"]


def test_what_only_looks_like_a_draft_is_left_alone(folder):
    folder.parent.mkdir()
    for name in (".n-settings", ".n-12345678-old", ".n-2-abcdefgh", ".n-abcdefg"):
        (folder.parent / name).mkdir()
        (folder.parent / name / "mine.txt").write_text("precious")
    (folder.parent / ".n-abcdefgi").symlink_to(folder.parent / ".n-settings")
    (folder.parent / ".n-abcdefgh").write_text("a file")
    assert recover_run(folder) == []
    assert len(beside(folder)) == 6
    assert not list(folder.parent.rglob(LOCK))


def test_a_run_that_cannot_be_put_back_is_named(folder, old_run, monkeypatch):
    folder.rename(folder.with_name(".n-aaaaaaaa-old"))

    def refused(source, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(run_folder.os, "rename", refused)
    with pytest.raises(UserError, match=r"left the run as .*\.n-aaaaaaaa-old, which can't be renamed \(Permission"):
        recover_run(folder)


def test_a_second_process_is_refused_by_the_name_of_the_first(folder):
    put_in_place(folder, FILES, overwrite=False)
    program = "import sys; from pathlib import Path; from kerasft.run_folder import *\n"
    program += "for act in (check_free, hold): \n try: act(Path(sys.argv[1]))\n except UserError as e: print(e)"
    ask = [sys.executable, "-c", program, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    told = subprocess.run(ask, env=environment, capture_output=True, text=True, timeout=100).stdout.splitlines()
    assert len(told) == 2
    for line in told:
        assert re.search(rf"runs/n: process {os.getpid()} on \S+ works in it; wait for its end, or choose", line)
    release(folder)
    assert subprocess.run(ask, env=environment, capture_output=True, text=True, timeout=100).stdout == ""


def test_a_run_made_meanwhile_is_not_replaced(folder):
    put_in_place(folder, FILES, overwrite=False)
    with pytest.raises(UserError, match="another process made it meanwhile"):
        put_in_place(folder, {**FILES, "run.json": "mine"}, overwrite=False)
    assert (folder / "run.json").read_text() == FILES["run.json"] and beside(folder) == ["n"]
    release(folder)


def test_a_link_to_a_run_is_replaced_and_not_what_it_leads_to(folder, tmp_path):
    put_in_place(tmp_path / "elsewhere", FILES, overwrite=False)
    release(tmp_path / "elsewhere")
    folder.parent.mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    put_in_place(folder, {**FILES, "run.json": "mine"}, overwrite=True)
    release(folder)
    assert not folder.is_symlink() and beside(folder) == ["n"]
    assert is_run(tmp_path / "elsewhere") and not list(tmp_path.rglob(LOCK))


def test_only_what_writing_left_is_removed(old_run):
    (old_run / ".model-abcdefgh").mkdir()
    (old_run / ".model-abcdefgh" / "task.json").write_text("half")
    (old_run / ".adapter-abcdefgh").mkdir()
    (old_run / "predictions").mkdir()
    for name in (".seen-123", ".metrics.json-abcd_123", "predictions/.test.jsonl-abcdefgh.tmp"):
        (old_run / name).write_text("half")
    for name in (".gitignore", ".my-document", ".notes.txt"):
        (old_run / name).write_text("mine")
    remove_leftovers(old_run)
    assert sorted(path.name for path in old_run.rglob(".*")) == [".gitignore", ".my-document", ".notes.txt"]


def test_a_lock_ends_with_its_owner_and_leaves_nothing(tmp_path):
    lock = FolderLock(tmp_path)
    assert held_by(tmp_path) == (tmp_path / LOCK).read_text().strip()
    with pytest.raises(Held, match=f"process {os.getpid()} on "):
        FolderLock(tmp_path)
    os.close(lock._descriptor)  # as when a process is killed: the file stays
    assert (tmp_path / LOCK).exists() and held_by(tmp_path) is None
    FolderLock(tmp_path).release(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_lock_moves_with_its_folder(tmp_path):
    (tmp_path / "a").mkdir()
    lock = FolderLock(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    with pytest.raises(Held):
        FolderLock(tmp_path / "b")
    lock.release(tmp_path / "b")
    assert os.listdir(tmp_path / "b") == []


def test_folders_without_locks_belong_to_whoever_comes(old_run, monkeypatch):
    def none(descriptor, how):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(locks.fcntl, "flock", none)
    hold(old_run)
    check_free(old_run)
    release(old_run)
    put_in_place(old_run, FILES, overwrite=True)
    release(old_run)
    (old_run.parent / ".n-abcdefgh").mkdir()
    with locked(old_run):
        assert recover_run(old_run) == []  # it is too young to be nobody's
    os.utime(old_run.parent / ".n-abcdefgh", (0, 0))
    assert len(recover_run(old_run)) == 1
    assert [name for name in beside(old_run) if name != "n"] == []


def test_short_pieces_of_work_come_one_after_the_other(tmp_path):
    inside, most = [], []

    def work():
        with locked(tmp_path):
            inside.append(1)
            most.append(len(inside))
            threading.Event().wait(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 5 and os.listdir(tmp_path) == []


def test_drafts_of_a_living_process_stay(tmp_path):
    with make_draft(tmp_path, "export") as draft:
        (draft / "servable").mkdir()
        assert remove_abandoned(tmp_path, "export", {"servable"}) == []
        (tmp_path / ".export-abcdefgh" / "servable").mkdir(parents=True)
        (tmp_path / ".export-abcdefgi" / "other").mkdir(parents=True)
        assert remove_abandoned(tmp_path, "export", {"servable"}) == [tmp_path / ".export-abcdefgh"]
        assert draft.exists()
    assert os.listdir(tmp_path) == [".export-abcdefgi"]


def test_a_lock_that_is_a_link_or_no_file_is_not_followed(folder, tmp_path):
    folder.mkdir(parents=True)
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (folder / LOCK).symlink_to(precious)
    assert held_by(folder) is None
    with pytest.raises(OSError, match=r"\.lock"):
        FolderLock(folder)
    (folder / LOCK).unlink()
    os.mkfifo(folder / LOCK)
    with pytest.raises(OSError, match="is no lock, but another kind of file; remove it"):
        FolderLock(folder)
    (folder / LOCK).unlink()
    os.link(precious, folder / LOCK)
    lock = FolderLock(folder)
    assert held_by(folder) == "mine"  # what a file of another's says, which nobody writes
    lock.release(folder)
    assert precious.read_text() == "mine" and not (folder / LOCK).exists()


def test_a_draft_of_a_stranger_whose_lock_is_a_link_is_left_alone(old_run, tmp_path):
    precious, planted = tmp_path / "precious", old_run.with_name(".n-abcdefgh")
    precious.write_text("mine")
    planted.mkdir()
    (planted / LOCK).symlink_to(precious)
    assert recover_run(old_run) == []
    assert precious.read_text() == "mine"
