"""`--precision int4`: a run writes by the 4 bits that it is stored in, and says the same."""

import contextlib
import io
import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from support.shared import shared_folder
from tiny_gguf import write_gguf

from kerasft import chat, predict, train
from kerasft.kernels import library
from kerasft.models.generation.four_bit_weights import EightBitTable, FourBitKernel
from kerasft.models.presets.narrow_weights import narrow_preset

ANSWERED = [{"messages": [{"role": "user", "content": "the"}, {"role": "assistant", "content": "12 the"}]}] * 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """`runs/wide`, which was trained, and `runs/narrow`, the same stored in int4."""

    def make(folder: Path) -> None:
        write_gguf(folder / "a.gguf", "Q8_0")
        (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ANSWERED))
        task = {"name": "text_generation", "mode": "chat", "decoding": {"max_new_tokens": 8}}
        data = {"train": "train.jsonl", "validation": 0.34, "columns": {"messages": "messages"}}
        told = {"task": task, "data": data, "model": {"preset": "gguf:a.gguf", "max_length": 48}}
        told |= {"training": {"epochs": None, "steps": 1, "batch_size": 2}, "export": {"enabled": False}}
        with contextlib.chdir(folder), contextlib.redirect_stderr(io.StringIO()):
            Path("c.yaml").write_text(yaml.safe_dump({"name": "wide", **told}))
            assert train.main(["c.yaml"]) == 0
            shutil.copytree("runs/wide", "runs/narrow")
            narrow_preset(Path("runs/narrow/model"), "int4")
            Path("texts.txt").write_text("the\n12 the\nthe 12 12\n")

    return shared_folder(tmp_path_factory, "stored-weights", make)


def test_a_run_says_the_same_by_its_bits(folder, monkeypatch, capsys):
    try:
        library.load()
    except library.Unavailable as reason:
        pytest.skip(f"no kernels: {reason}")
    monkeypatch.chdir(folder)
    used = set()
    for kind in (FourBitKernel, EightBitTable):
        product = kind.product
        told = lambda self, *a, product=product: used.add(type(self)) or product(self, *a)  # noqa: E731
        monkeypatch.setattr(kind, "product", told)
    said = {}
    for precision in ("float32", "int4"):
        for program, told in ((predict.main, ["--input", "texts.txt"]), (chat.main, [])):
            used.clear()
            monkeypatch.setattr(sys, "stdin", io.StringIO("the\n12 the\n"))
            assert program(["runs/narrow", *told, "--precision", precision]) == 0
            assert used == ({FourBitKernel, EightBitTable} if precision == "int4" else set())
        said[precision] = capsys.readouterr().out
    assert said["int4"] == said["float32"] and said["int4"].count("\n") == 5


def test_what_has_no_such_bits_is_refused(folder, trained, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    for program, told in (
        (predict.main, ["runs/wide", "--input", "texts.txt"]),
        (predict.main, ["c.yaml", "--input", "texts.txt"]),
        (chat.main, ["runs/wide"]),
    ):
        assert program([*told, "--precision", "int4"]) == 2
        assert f"{told[0]} is not a run that is stored in int4; make one by kerasft compress" in capsys.readouterr().err
    assert predict.main([str(trained / "runs/tiny"), "--input", "texts.txt", "--precision", "int4"]) == 2
    assert "for tasks that write texts, not for text_classification" in capsys.readouterr().err


def test_a_machine_without_kernels_says_why(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(library, "_loaded", [library.Unavailable("no C++ compiler is installed (g++ or clang++)")])
    assert predict.main(["runs/narrow", "--input", "texts.txt", "--precision", "int4"]) == 2
    assert "its products are kernels of kerasft, and no C++ compiler is installed" in capsys.readouterr().err
