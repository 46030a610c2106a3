"""The kernels' shared library: compiled for this machine at first use, kept in the user's cache, loaded once.

Its name is a digest of all it is made from (sources, TensorFlow, compiler, processor), so that another of any of them
makes another file, and two processes that compile at once write the same.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import tensorflow as tf

SOURCE = "kernels.cc"
HEADERS = ("activation.h", "adam.h", "attention.h", "half_products.h", "loops.h", "matrix.h") + (
    "narrow_products.h",
    "normalization.h",
    "pair_products.h",
    "philox.h",
    "products.h",
    "rows.h",
    "small_products.h",
    "stretches.h",
)
COMPILERS = ("g++", "clang++", "c++")
# Sums may be taken in lanes; what is no number stays none.
OPTIONS = ("-O3", "-shared", "-fPIC", "-w", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros") + (
    "-fassociative-math",
    "-freciprocal-math",
)
NATIVE = {"x86_64": ("-march=native", "-mprefer-vector-width=512"), "aarch64": ("-mcpu=native",)}


class Unavailable(Exception):
    """There are no kernels on this machine; the message says why."""


_loaded: list[ModuleType | Unavailable] = []  # once it was looked for


def load(say: Callable[[str], None] = lambda line: None) -> ModuleType:
    """The operations as TensorFlow wraps them, compiled where that was not done before.

    Args:
        say: told of it when this takes some seconds.

    Raises:
        Unavailable: no compiler, or it fails; the reason is found once in a process.
    """
    if not _loaded:
        _loaded.append(_load(say))
    if isinstance(_loaded[0], Unavailable):
        raise _loaded[0]
    return _loaded[0]


def _load(say: Callable[[str], None]) -> ModuleType | Unavailable:
    try:
        return tf.load_op_library(str(_built(say)))
    except Unavailable as reason:
        return reason
    except (OSError, tf.errors.OpError) as reason:
        return Unavailable(f"what was compiled does not load: {str(reason).splitlines()[0]}")


def _built(say: Callable[[str], None]) -> Path:
    command = _command()
    path = _folder() / f"{_digest(command)}.so"
    if path.exists():
        return path
    say("compiling kernels for this machine (once, some ten seconds)")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / path.name
        command += ["-o", str(draft), *tf.sysconfig.get_link_flags()]
        process = subprocess.run(command, capture_output=True, text=True)
        if process.returncode:
            errors = [line for line in process.stderr.splitlines() if "error" in line] or process.stderr.splitlines()
            raise Unavailable(f"{command[0]} does not compile them: {' '.join(errors[:1])}")
        os.replace(draft, path)
    return path


def _command() -> list[str]:
    compiler = shlex.split(os.environ.get("CXX", "")) or [name for name in COMPILERS if shutil.which(name)][:1]
    if not compiler:
        raise Unavailable("no C++ compiler is installed (g++ or clang++)")
    if not shutil.which(compiler[0]):
        raise Unavailable(f"the environment's CXX={os.environ['CXX']} is no program")
    options = (*OPTIONS, *NATIVE.get(platform.machine(), ()))
    return [*compiler, *tf.sysconfig.get_compile_flags(), *options, str(_source(SOURCE))]


def _digest(command: list[str]) -> str:
    sources = [_source(name).read_bytes() for name in (SOURCE, *HEADERS)]
    version = subprocess.run([*command[:1], "--version"], capture_output=True).stdout
    texts = repr(command[:-1]), tf.version.VERSION, _processor()
    return hashlib.sha256(b"\0".join([*sources, version, *map(str.encode, texts)])).hexdigest()[:32]


def _source(name: str) -> Path:
    return Path(__file__).with_name(name)


def _processor() -> str:
    """What `native` stands for, on a machine that shares its cache with others."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(next((line for line in lines if line.startswith(key)), "") for key in ("model name", "flags"))


def _folder() -> Path:
    """In the user's cache, and nobody else's: what lies there is run."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kerasft" / "kernels"
    except RuntimeError:
        raise Unavailable("there is no home to keep them in; set HOME or XDG_CACHE_HOME") from None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"{folder} can't be made: {error.strerror}") from None
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise Unavailable(f"others may write to {folder}; take that right away (chmod go-w)")
    if not os.access(folder, os.W_OK):
        raise Unavailable(f"{folder} can't be written to")
    return folder
