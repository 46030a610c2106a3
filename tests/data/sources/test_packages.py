"""pypi: specs, against wheels and sdists that pip finds in a local folder."""

import hashlib
import io
import os
import pathlib
import stat
import subprocess
import sys
import tarfile
import time
import zipfile

import pytest

from kerasft.data.sources import packages, unpack
from kerasft.data.sources.packages import fetch_package_path
from kerasft.errors import UserError

WHEEL = "toy_data-1.0-py3-none-any.whl"
SDIST = "toy_data-1.0.tar.gz"
FILES = {"toy/train.csv": b"text,label\nhello,a\n", "toy/model/config.json": b"{}", "toy/model/vocab.txt": b"a\nb\n"}


def add_to_tar(bundle, name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    bundle.addfile(info, io.BytesIO(data))


def write_wheel(folder, files=FILES, name=WHEEL):
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as bundle:
        for path, data in files.items():
            bundle.writestr(path, data)
    return folder / name


def write_sdist(folder, marker, files=FILES, name=SDIST):
    root = name.removesuffix(".tar.gz")
    setup = f"open({str(marker)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='toy-data', version='1.0')\n"
    with tarfile.open(folder / name, "w:gz") as bundle:
        add_to_tar(bundle, root, type=tarfile.DIRTYPE, mode=0o755)
        for path, data in {"setup.py": setup.encode(), **files}.items():
            add_to_tar(bundle, f"{root}/{path}", data)
    return folder / name


def sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def cache_entries(cache):
    return sorted(path.name for path in cache.glob("packages/*"))


@pytest.fixture
def links(tmp_path, monkeypatch):
    """A folder that is the only place where pip looks; the cache is beside it."""
    folder = tmp_path / "links"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("KERASFT_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def test_file_and_folder_of_a_wheel(links, cache):
    write_wheel(links)
    file = fetch_package_path("pypi:toy-data==1.0/toy/train.csv")
    assert file.read_bytes() == FILES["toy/train.csv"]
    folder = fetch_package_path("pypi:toy-data==1.0/toy/model/")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "vocab.txt"]
    assert cache_entries(cache) == ["toy-data-1.0"]


def test_sdist_is_unpacked_without_running_its_code(links, tmp_path):
    marker = tmp_path / "setup-ran"
    write_sdist(links, marker)
    assert fetch_package_path("pypi:toy-data==1.0/toy/train.csv").read_bytes() == FILES["toy/train.csv"]
    assert not marker.exists()


def test_cache_needs_neither_pip_nor_index(links, monkeypatch):
    wheel = write_wheel(links)
    first = fetch_package_path("pypi:toy-data==1.0/toy")
    wheel.unlink()
    monkeypatch.setattr(packages, "_download", lambda *args: pytest.fail("downloaded again"))
    assert fetch_package_path("pypi:Toy_Data==1.0/toy") == first


def test_pinned_hash_chooses_the_archive(links, tmp_path, cache, monkeypatch):
    sdist = write_sdist(links, tmp_path / "marker")
    archives = [write_wheel(links), sdist]
    page = links / "page.html"  # as an index page: file names with hashes
    page.write_text("".join(f'<a href="{file.name}#sha256={sha256(file)}">{file.name}</a>' for file in archives))
    monkeypatch.setenv("PIP_FIND_LINKS", page.as_uri())
    fetch_package_path(f"pypi:toy-data==1.0/toy#sha256={sha256(sdist).upper()}")
    assert sha256(sdist) in (cache / "packages/toy-data-1.0/archive.json").read_text()


def test_other_hash_leaves_nothing(links, cache):
    wheel = write_wheel(links)
    pin = "0" * 64
    with pytest.raises(UserError) as error:
        fetch_package_path(f"pypi:toy-data==1.0/toy#sha256={pin}")
    assert pin in str(error.value) and sha256(wheel) in str(error.value)
    assert cache_entries(cache) == []


def test_other_hash_than_the_cached_archive(links):
    wheel = write_wheel(links)
    fetch_package_path(f"pypi:toy-data==1.0/toy#sha256={sha256(wheel)}")
    with pytest.raises(UserError, match=f"{sha256(wheel)}.*{'1' * 64}"):
        fetch_package_path(f"pypi:toy-data==1.0/toy#sha256={'1' * 64}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("pypi:toy-data/toy", "not pinned; write pypi:NAME==VERSION/PATH"),
        ("pypi:toy-data==1.0", "malformed"),
        ("pypi:toy-data==1.*/toy", "malformed"),
        ("pypi:toy-data==1.0/toy#sha256=12", "malformed"),
        ("pypi:toy-data==1.0/toy/../../x", "outside the package"),
        ("pypi:toy-data==1.0//etc/passwd", "outside the package"),
        ("pypi:toy-data==1.1/toy", r"no version 1\.1 .*1\.0"),
        ("pypi:toy-dat==1.0/toy", "toy-dat==1.0: not found: the index is off"),
        ("pypi:toy-data==1.0/toy/trian.csv", r"no toy/trian\.csv in the package; toy holds train\.csv"),
        ("pypi:toy-data==1.0/toy/train.csv/x", "toy holds train.csv"),
    ],
)
def test_mistakes_name_the_fix(links, spec, message):
    write_wheel(links)
    with pytest.raises(UserError, match=message):
        fetch_package_path(spec)


def test_unreachable_index_is_told_within_two_seconds(links, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "180")
    start = time.perf_counter()
    with pytest.raises(
        UserError, match="cannot be fetched: no connection to 127.0.0.1: Connection refused; connect, or"
    ):
        fetch_package_path("pypi:toy-data==1.0/toy")
    # the promise is 2 s; the rest is for a test machine that is busy
    assert time.perf_counter() - start < 6


def test_two_processes_at_once(links, cache):
    write_wheel(links)
    code = "from kerasft.data.sources.packages import *; print(fetch_package_path('pypi:toy-data==1.0/toy/train.csv'))"
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert outputs[0] == outputs[1] and pathlib.Path(outputs[0]).read_bytes() == FILES["toy/train.csv"]
    assert cache_entries(cache) == ["toy-data-1.0"]


def test_a_slower_process_takes_what_the_faster_one_left(links, cache, monkeypatch):
    write_wheel(links)
    entry = cache / "packages/toy-data-1.0"

    def unpack_after_another(archive, target):
        unpack.unpack(archive, target)
        (entry / "files/toy").mkdir(parents=True)
        (entry / "files/toy/train.csv").write_text("from another")
        (entry / "archive.json").write_text('{"archive": "a.whl", "sha256": "0"}')

    monkeypatch.setattr(packages, "unpack", unpack_after_another)
    assert fetch_package_path("pypi:toy-data==1.0/toy/train.csv").read_text() == "from another"
    assert cache_entries(cache) == ["toy-data-1.0"]


def test_the_hook_into_pip_holds(links, monkeypatch):
    """Fails when this version of pip has moved what pip_fetch.py uses."""
    write_wheel(links)
    monkeypatch.setattr(packages, "_download_wheel", lambda *args: pytest.fail("pip_fetch.py answered `moved`"))
    assert fetch_package_path("pypi:toy-data==1.0/toy").is_dir()


def test_public_pip_serves_wheels_where_the_hook_has_moved(links, tmp_path, monkeypatch):
    script = tmp_path / "moved.py"
    script.write_text("import sys; open(sys.argv[4] + '/answer.json', 'w').write('{\"status\": \"moved\"}')")
    monkeypatch.setattr(packages, "FETCH_SCRIPT", script)
    marker = tmp_path / "setup-ran"
    write_sdist(links, marker)
    with pytest.raises(UserError, match=r"toy-data==1\.0 cannot be fetched: No matching distribution"):
        fetch_package_path("pypi:toy-data==1.0/toy")
    assert not marker.exists()
    metadata = {"toy_data-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: toy-data\nVersion: 1.0\n"}
    metadata["toy_data-1.0.dist-info/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    write_wheel(links, FILES | metadata)
    assert fetch_package_path("pypi:toy-data==1.0/toy").is_dir()


def test_unwritable_cache(links, tmp_path, monkeypatch):
    write_wheel(links)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERASFT_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="set KERASFT_CACHE to a writable folder"):
        fetch_package_path("pypi:toy-data==1.0/toy")


def test_damaged_archive(links, cache):
    wheel = write_wheel(links, {"toy/big.txt": os.urandom(5000)})
    data = bytearray(wheel.read_bytes())
    data[1000] ^= 255
    wheel.write_bytes(data)
    with pytest.raises(UserError, match="the archive is damaged"):
        fetch_package_path("pypi:toy-data==1.0/toy")
    assert cache_entries(cache) == []


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/out", "C:/out", "a\\..\\..\\out"])
def test_zip_names_that_leave_the_target(tmp_path, name):
    archive = write_wheel(tmp_path, {"fine": b"1", name: b"2"})
    (tmp_path / "deep").mkdir()
    with pytest.raises(UserError, match="points outside the archive"):
        unpack.unpack(archive, tmp_path / "deep/target")
    assert not list(tmp_path.rglob("out"))


def test_zip_symlink(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as bundle:
        bundle.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="'link' is a link or a device"):
        unpack.unpack(tmp_path / "a.whl", tmp_path / "target")


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("link", tarfile.SYMTYPE, "is a link or a device"),
        ("link", tarfile.LNKTYPE, "is a link or a device"),
        ("device", tarfile.CHRTYPE, "is a link or a device"),
        ("pipe", tarfile.FIFOTYPE, "is a link or a device"),
        ("../out", tarfile.REGTYPE, "points outside"),
        ("/out", tarfile.REGTYPE, "points outside"),
        ("fine", tarfile.REGTYPE, "holds one name twice"),
        ("fine/below", tarfile.REGTYPE, "holds one name twice"),
    ],
)
def test_tar_members_that_are_refused(tmp_path, name, kind, message):
    archive = tmp_path / "a-1.tar.gz"
    with tarfile.open(archive, "w:gz") as bundle:
        add_to_tar(bundle, "fine", b"1")
        add_to_tar(bundle, name, type=kind, linkname="fine")
    with pytest.raises(UserError, match=message):
        unpack.unpack(archive, tmp_path / "target")
    assert not (tmp_path / "out").exists()


def test_bomb_stops_at_its_budget(tmp_path):
    archive = write_wheel(tmp_path, {"zeros": bytes(unpack.SMALL_BYTES + (8 << 20))})
    assert archive.stat().st_size * unpack.MAX_RATIO < unpack.SMALL_BYTES
    with pytest.raises(UserError, match="far more than its size"):
        unpack.unpack(archive, tmp_path / "target")
    assert (tmp_path / "target/zeros").stat().st_size <= unpack.SMALL_BYTES


def test_no_home_to_keep_packages_in(monkeypatch):
    def no_home(self):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("KERASFT_CACHE", raising=False)
    monkeypatch.setattr(pathlib.PosixPath, "expanduser", no_home)
    with pytest.raises(UserError, match="no home to keep packages in; set HOME, or KERASFT_CACHE"):
        fetch_package_path("pypi:a==1/b")
