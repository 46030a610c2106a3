import importlib.util
import json
import subprocess

import pytest

from kerasft.accelerators import aot, compiler
from kerasft.accelerators.bounds import Compiled, Refused
from kerasft.accelerators.chips import CHIPS
from kerasft.errors import Stop, UserError

FIGURES = dict(argument_bytes=1, output_bytes=2, alias_bytes=3, temporary_bytes=4, code_bytes=5, flops=6.0, seconds=7.0)
TOO_LARGE = (
    "RESOURCE_EXHAUSTED: E1000: CompileTimeHbmOom: Ran out of memory on HBM, the total memory required for HLO "
    "temporaries (83.16G) exceeds available HBM (15.75G). HLO module: a_inference_step_3448__.7179.\nSee https://x."
)
UNKNOWN = (
    "Failed getting HLO text: 'Detected unsupported operations when trying to compile graph __inference_step_43[] on "
    "XLA_CPU_JIT: AsString (No registered 'AsString' OpKernel for XLA_CPU_JIT devices compatible with node "
    "{{node functional_1/odd_layer_1/AsString}}){{node functional_1/odd_layer_1/AsString}}\nThe op is created at:\n"
)


@pytest.fixture
def answers(monkeypatch):
    """Returns a function that puts a process in the compiler's place that writes this and ends with this code."""

    def set_answer(stdout="", stderr="", code=0):
        seen = []

        def run(command, **details):
            seen.append(command)
            return subprocess.CompletedProcess(command, code, stdout, stderr)

        monkeypatch.setattr(subprocess, "run", run)
        return seen

    return set_answer


def test_the_answer_is_found_among_what_libtpu_writes(answers, tmp_path):
    seen = answers(f"chatter\n{aot.MARK}{json.dumps(FIGURES)}\n", "more chatter")
    assert compiler.compile_program(b"hlo", CHIPS["v4"], tmp_path) == Compiled(**FIGURES)
    assert seen[0][1:3] == ["-m", "kerasft.accelerators.aot"]
    assert seen[0][4:] == ["v4:2x2x1", '{"chip_config_name": "megacore"}', str(tmp_path)]


def test_a_compiler_that_dies_is_told_with_its_last_words(answers, tmp_path):
    answers("", "a\nImportError: no\n", 1)
    with pytest.raises(Stop, match="exit code 1 and said: ImportError: no"):
        compiler.compile_program(b"hlo", CHIPS["v5e"], tmp_path)


def test_too_little_memory_is_told_from_the_rest():
    refused = compiler.refusal(TOO_LARGE)
    assert refused.memory and refused.layer is None
    assert refused.reason.startswith("Ran out of memory on HBM")
    assert refused.reason.endswith("(83.16G) exceeds available HBM (15.75G).")


def test_an_unknown_operation_names_its_layer():
    refused = compiler.refusal(UNKNOWN)
    assert (refused.memory, refused.layer) == (False, "functional_1/odd_layer_1")
    assert "AsString" in refused.reason
    named = compiler.refusal('INTERNAL: no lowering: %x = f32[] foo(), metadata={op_name="model/layer_3/MatMul"}')
    assert named.layer == "model/layer_3"
    assert compiler.refusal("") == Refused("no reason given")


def test_without_the_extra_the_fix_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"jax and libtpu.*pip install '\.\[preflight\]'"):
        compiler.check_installed()


def test_the_name_of_a_result_is_that_of_the_program(monkeypatch):
    monkeypatch.setattr(aot, "version", lambda name: "1")
    one = aot.key("module @a_inference_step_7__.1 {\n}", "v5e:1x1", "{}")
    assert one == aot.key("module @a_inference_step_99__.3 {\n}", "v5e:1x1", "{}")
    calls = "module @a {{ call @{} call @{} call @{} }}"
    assert len({aot.key(calls.format(*names), "", "") for names in ("xyx", "zxz", ('"a b"', "q.1", '"a b"'))}) == 1
    assert aot.key(calls.format(*"xyx"), "", "") != aot.key(calls.format(*"xyy"), "", "")
    assert one != aot.key("module @a_inference_step_7__.1 {\n}", "v6e:1x1", "{}")
    assert one != aot.key("module @a_inference_step_7__.1 { }", "v5e:1x1", "{}")
    monkeypatch.setattr(aot, "version", lambda name: "2")
    assert one != aot.key("module @a_inference_step_7__.1 {\n}", "v5e:1x1", "{}")
