"""The library of kernels: made once for what it is made from, nobody else's, and a reason where it can't be had."""

import os
import stat
import subprocess
import sys

import pytest

from kerasft.kernels import library


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the user's; a stand-in for the compiler writes what it was called with."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    compiler = tmp_path / "c++"
    compiler.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && { echo 1.0; exit; }\n'
        'while [ "$1" != -o ]; do shift; done\necho made > "$2"\necho again >> "$0.calls"\n'
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    return tmp_path


def test_it_is_compiled_once_and_says_so(cache):
    said = []
    path = library._built(said.append)
    assert path.read_text() == "made\n" and len(said) == 1 and "once" in said[0]
    assert library._built(said.append) == path and len(said) == 1
    assert (cache / "c++.calls").read_text() == "again\n"
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # nothing of the making is left


def test_other_sources_compilers_and_processors_make_other_libraries(cache, monkeypatch):
    paths = {library._built(print)}
    monkeypatch.setattr(library, "_processor", lambda: "another")
    paths.add(library._built(print))
    (cache / "c++").write_text((cache / "c++").read_text().replace("1.0", "1.1"))
    paths.add(library._built(print))
    monkeypatch.setattr(library, "OPTIONS", (*library.OPTIONS, "-g"))
    paths.add(library._built(print))
    assert len(paths) == 4


def test_the_folder_is_the_users_alone(cache):
    folder = library._built(print).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    with pytest.raises(library.Unavailable, match="others may write to .*chmod"):
        library._built(print)


def test_no_compiler(cache, monkeypatch):
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(cache / "nothing"))
    with pytest.raises(library.Unavailable, match="no C\\+\\+ compiler is installed"):
        library._built(print)
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(library.Unavailable, match="CXX=no-such-compiler is no program"):
        library._built(print)


def test_a_compiler_that_fails(cache):
    (cache / "c++").write_text('#!/bin/sh\necho "x.cc:1: error: unknown option" >&2\nexit 1\n')
    with pytest.raises(library.Unavailable, match="does not compile them: x.cc:1: error: unknown option"):
        library._built(print)
    assert not list((cache / "cache" / "kerasft" / "kernels").iterdir())


def test_what_does_not_load_is_a_reason_and_not_tried_again(cache):
    """In a process of its own, in which no kernels are loaded yet."""
    code = (
        "from kerasft.kernels import library\n"
        "for _ in range(2):\n"
        "    try: library.load()\n"
        "    except library.Unavailable as reason: print('REASON', reason)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    lines = [line for line in done.stdout.splitlines() if line.startswith("REASON")]
    assert len(lines) == 2 and lines[0] == lines[1] and "does not load" in lines[0]


def test_no_home_to_keep_them_in(monkeypatch):
    def no_home(cls):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(library.Path, "home", classmethod(no_home))
    with pytest.raises(library.Unavailable, match="no home to keep them in; set HOME or XDG_CACHE_HOME"):
        library._folder()
