"""Which folders are versions, when one has changed, and that one in use is not taken away."""

import asyncio
import os

from kerasft.serving.server.versions import State, Version, find_versions, fingerprint


def version(folder, content="graph"):
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(content)
    (folder / "variables" / "variables.index").write_text("weights")
    return folder


def test_versions_are_folders_with_whole_numbers_and_a_model(tmp_path):
    for name in ("1", "007", "20", "x", "1.5", "-3", "\u0663", ".export-1"):
        version(tmp_path / name)
    (tmp_path / "30").mkdir()  # a copy that has only begun
    (tmp_path / "4").write_text("no folder")
    assert find_versions(tmp_path) == {1: tmp_path / "1", 7: tmp_path / "007", 20: tmp_path / "20"}
    assert find_versions(tmp_path / "nowhere") == {}


def test_a_fingerprint_changes_with_any_file_of_the_model(tmp_path):
    folder = version(tmp_path / "1")
    before = fingerprint(folder)
    assert fingerprint(folder) == before
    for file in (folder / "saved_model.pb", folder / "variables" / "variables.index"):
        os.utime(file, ns=(1, 1))
        assert fingerprint(folder) != before
        before = fingerprint(folder)
    for added in ("variables/more", "assets.extra/tf_serving_warmup_requests", "assets/a/vocabulary.txt"):
        (folder / added).parent.mkdir(parents=True, exist_ok=True)
        before = fingerprint(folder)
        (folder / added).write_text("")
        assert fingerprint(folder) != before
    assert fingerprint(tmp_path / "nowhere") == ()


class Model:
    signatures, unbatchable = {"serving_default": None}, set()


def test_a_version_is_drained_once_its_last_user_is_done(tmp_path):
    async def work():
        served = Version("m", 1, tmp_path)
        assert not served.available and served.state is State.START
        model = Model()
        served.open(model, _Scheduler())
        assert served.available and served.model is model
        with served.used():
            with served.used():
                draining = asyncio.get_running_loop().create_task(served.drain())
                await asyncio.sleep(0)
                assert not served.available and served.state is State.UNLOADING
            await asyncio.sleep(0)
            assert not draining.done() and served.model is model
        assert await draining is model

    asyncio.run(work())


class _Scheduler:
    from kerasft.serving.server.batching import BatchLimits

    limits = BatchLimits()


def test_a_refused_version_keeps_the_reason(tmp_path):
    served = Version("m", 1, tmp_path)
    served.refuse("why")
    assert served.state is State.END and served.error[1] == "why" and not served.available
