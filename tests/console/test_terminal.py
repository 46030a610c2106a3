"""What programs say, where they say it, and their exit codes."""

import io
import json
import os
import pty
import re
import subprocess
import sys
import textwrap

import pytest
import rich.table
from hypothesis import given
from hypothesis import strategies as st

from kerasft.console.progress import Phase, duration
from kerasft.console.terminal import CLEAR_LINE, Terminal, run_program
from kerasft.errors import Interrupted, UserError
from kerasft.printable import printable


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def screen(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Screen()


def python(code, **options):
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def train(terminal, clock, steps=100, seconds=1.0):
    with terminal.progress("train", steps) as phase:
        for step in range(1, steps + 1):
            clock.now += seconds
            phase.update(step, examples=step * 32, loss=1 / step)


def test_plain_lines_come_each_tenth_without_control_characters(clock):
    stream = io.StringIO()
    train(Terminal(stream=stream, clock=clock), clock)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[4] == "train: 50/100 steps, loss 0.02, 32 examples/s, 50s left"
    assert lines[-1] == "train: 100 steps in 1m40s, loss 0.01, 32 examples/s"
    assert stream.getvalue().replace("\n", "").isprintable()


def test_plain_lines_of_a_slow_phase_come_every_30_seconds(clock):
    stream = io.StringIO()
    train(Terminal(stream=stream, clock=clock), clock, steps=10_000, seconds=0.1)
    assert len(stream.getvalue().splitlines()) == 1000 // 30 + 1


def test_plain_lines_of_a_quick_phase_are_few(clock):
    stream = io.StringIO()
    train(Terminal(stream=stream, clock=clock), clock, steps=100, seconds=0.005)
    assert stream.getvalue() == "train: 100 steps in 0.5s, loss 0.01, 6400 examples/s\n"


@pytest.mark.parametrize("starts", [True, False], ids=["told by an update of 0", "told by the first step"])
def test_the_time_that_a_graph_took_is_named(clock, starts):
    stream = io.StringIO()
    with Terminal(stream=stream, clock=clock).progress("train", 4) as phase:
        clock.now += 9.0
        if starts:
            phase.update(0, examples=0)
        for step in range(1, 5):
            clock.now += 0.25
            phase.update(step, examples=step * 8)
    assert stream.getvalue().splitlines()[-1] == ("train: 4 steps in 10s, 9.0s of it to build the graph, 32 examples/s")


def test_the_live_line_stays_one_line_and_leaves_a_summary(clock, screen):
    train(Terminal(stream=screen, clock=clock), clock)
    text = screen.getvalue()
    assert text.count("\n") == 1
    half = next(part for part in text.split("\r\x1b[2K") if " 50/100 steps" in part)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", half)
    assert shown.startswith("train ━") and "loss 0.02, 32 examples/s, 50s left" in shown
    assert shown.count("━") == shown.count("─") == 6
    assert all(len(re.sub(r"\x1b\[[0-9;]*m", "", part)) < 80 for part in text.split("\r\x1b[2K"))
    assert text.endswith("\r\x1b[2Ktrain: 100 steps in 1m40s, loss 0.01, 32 examples/s\n")


def test_the_live_line_is_drawn_ten_times_a_second_at_most(clock, screen):
    train(Terminal(stream=screen, clock=clock), clock, steps=1000, seconds=0.001)
    assert screen.getvalue().count("\r") <= 13


def test_remarks_and_an_inner_phase_do_not_break_the_live_line(clock, screen):
    terminal = Terminal(stream=screen, output=screen, clock=clock)
    with terminal.progress("train", 10) as outer:
        outer.update(5)
        terminal.line("a remark")
        with terminal.progress("validation", 4) as inner:
            inner.update(4)
        terminal.result("a result")
    visible = [line.rsplit("\r\x1b[2K", 1)[-1] for line in screen.getvalue().split("\n")]
    assert visible == ["a remark", "validation: 4 steps in 0.0s", "a result", "train: 5 steps in 0.0s", ""]


@pytest.mark.parametrize(("name", "value"), [("TERM", "dumb"), ("NO_COLOR", "1")])
def test_environment(clock, screen, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    train(Terminal(stream=screen, clock=clock), clock)
    assert "\x1b[3" not in screen.getvalue()
    assert ("\r" in screen.getvalue()) == (name == "NO_COLOR")


def test_verbose_means_plain_lines(clock, screen):
    train(Terminal(verbose=True, stream=screen, clock=clock), clock)
    assert "\r" not in screen.getvalue()


def test_a_phase_that_fails_says_how_far_it_came(clock):
    stream = io.StringIO()
    with pytest.raises(ZeroDivisionError), Terminal(stream=stream, clock=clock).progress("train", 10) as phase:
        phase.update(3)
        clock.now += 75
        raise ZeroDivisionError
    assert stream.getvalue() == "train: stopped after 3 of 10 steps, 1m15s\n"


def test_time_left_after_resuming_counts_this_run_only(clock):
    phase = Phase("train", 1000, "steps", lambda phase: None, clock)
    clock.now += 50  # the first step compiles
    phase.update(901, examples=901 * 8)
    clock.now += 1
    phase.update(911, examples=911 * 8)
    assert phase.text() == "911/1000 steps, 80 examples/s, 8.9s left"


def test_a_phase_of_unknown_length(clock):
    stream = io.StringIO()
    terminal = Terminal(stream=stream, clock=clock)
    with terminal.progress("predict", None, unit="texts") as phase:
        clock.now += 31
        phase.update(1, examples=1)
    assert stream.getvalue().splitlines() == ["predict: 1 texts", "predict: 1 text in 31s, 0.0323 examples/s"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0s"), (9.9, "9.9s"), (9.96, "10s"), (59.7, "1m00s"), (185, "3m05s"), (3599.9, "1h00m"), (7620, "2h07m")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_a_table_keeps_labels_with_brackets_and_is_not_cut(monkeypatch):
    table = rich.table.Table("label", "F1")
    table.add_row("[bold] a label " + "x" * 60, "0.9")
    output = io.StringIO()
    Terminal(output=output).table(table)
    assert "[bold] a label " + "x" * 60 in output.getvalue()
    assert "\x1b" not in output.getvalue()


def test_text_that_the_stream_can_not_write_is_escaped():
    raw = io.BytesIO()
    output = io.TextIOWrapper(raw, encoding="ascii")
    Terminal(output=output).result("标签")
    assert raw.getvalue() == b"\\u6807\\u7b7e\n"


@pytest.mark.parametrize(
    ("ending", "code", "line"),
    [
        (UserError("a.yaml:3: seed: -1\nis wrong\x1b[0m"), 2, "error: a.yaml:3: seed: -1 is wrong\\u001b[0m\n"),
        (Interrupted("interrupted: go on with --resume"), 130, "interrupted: go on with --resume\n"),
        (KeyboardInterrupt(), 130, "interrupted: nothing was written\n"),
    ],
)
def test_how_a_program_ends(capsys, ending, code, line):
    def program():
        raise ending

    assert run_program(program) == code
    assert capsys.readouterr().err == line


def test_a_program_that_works_returns_its_code():
    assert run_program(lambda: 0) == 0


def test_a_mistake_of_ours_keeps_its_traceback():
    done = python("from kerasft.console.terminal import run_program; run_program(lambda: 1 / 0)")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_a_reader_that_leaves_is_no_error():
    code = """
    import sys
    from kerasft.console.terminal import run_program
    sys.exit(run_program(lambda: print("x\\n" * 10**6) or 0))
    """
    program = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    program.stdout.readline()
    program.stdout.close()
    assert program.stderr.read() == b""
    assert program.wait(timeout=60) == 141


@pytest.mark.parametrize(
    ("program", "unbuffered"),
    [
        ("run_program(lambda: print('x') or 0)", []),
        ("run_program(lambda: print('x') or 0)", ["-u"]),
        ("run_program(lambda: Terminal().result('x') or 0)", []),
        ("run_program(lambda: print('x' * 10**6) or 0)", []),
        ("Parser('train', 'Trains.', 'CONFIG').parse_args(['--help'])", []),
        ("main(['version'])", []),
    ],
)
def test_a_standard_output_that_takes_no_more_is_told(program, unbuffered):
    code = f"""
    import sys
    from kerasft.cli import main
    from kerasft.console.arguments import Parser
    from kerasft.console.terminal import Terminal, run_program
    sys.exit({program})
    """
    with open("/dev/full", "w") as full:
        command = [sys.executable, *unbuffered, "-c", textwrap.dedent(code)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=environment)
    assert done.returncode == 1
    assert done.stderr == b"error: standard output: No space left on device; what was printed is not complete\n"


def test_progress_on_a_real_terminal_leaves_stdout_alone():
    controller, terminal = pty.openpty()
    code = """
    from kerasft.console.terminal import Terminal
    terminal = Terminal()
    with terminal.progress("train", 2) as phase:
        phase.update(1)
        terminal.result("a result")
        phase.update(2)
    """
    environment = {**os.environ, "TERM": "xterm"}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal, env=environment, timeout=60)
    os.close(terminal)
    shown = os.read(controller, 65536).decode()
    os.close(controller)
    assert done.stdout == b"a result\n"
    assert "1/2 steps" in shown and "train: 2 steps" in shown and "\x1b[2K" in shown


# jit_compile makes XLA write to Abseil's log, which no environment variable silences: see
# kerasft/console/tensorflow_log.py.
CHATTY = """
    import sys, warnings
    if not {verbose}:
        sys.ps1 = ">>> "  # as in a notebook, where TensorFlow chooses its log's level by itself
    from kerasft.console.terminal import quiet_tensorflow
    quiet_tensorflow(verbose={verbose})
    import tensorflow as tf
    import keras
    tf.get_logger().warning("a warning of TensorFlow's")
    warnings.warn("a warning of Python's")
    tf.function(lambda x: tf.reduce_sum(x * x), jit_compile=True)(tf.ones([3]))
    print(keras.backend.backend())
"""


@pytest.mark.parametrize("verbose", [False, True])
def test_tensorflow_is_quiet_unless_verbose(verbose):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_CPP")}
    done = python(CHATTY.format(verbose=verbose), env={**environment, "KERAS_BACKEND": "jax"})
    assert done.stdout == "tensorflow\n", done.stderr
    if verbose:
        assert all(text in done.stderr for text in ("InitializeLog", "Compiled cluster", "oneDNN", "of TensorFlow's"))
    else:
        assert done.stderr == ""


def test_saying_things_needs_no_tensorflow():
    code = (
        "import sys, kerasft.console.terminal;"
        "print([m for m in ('tensorflow', 'keras', 'absl', 'rich') if m in sys.modules])"
    )
    assert python(code).stdout == "[]\n"


def test_the_rate_does_not_count_what_came_between(clock):
    with Terminal(stream=io.StringIO(), clock=clock).progress("train", 100) as phase:
        for step in range(1, 31):
            clock.now += 1
            phase.update(step, examples=step * 32)
        clock.now += 600  # a validation
        phase.resumed()
        clock.now += 1
        phase.update(31, examples=31 * 32)
        assert phase.text() == "31/100 steps, 32 examples/s, 1m09s left"


STEERING = "\x1b]0;owned\x07\x9b2J\u202egnp.exe\r\x00"
ESCAPED = r"\u001b]0;owned\u0007\u009b2J\u202egnp.exe\u000d\u0000"


def test_what_steers_a_terminal_is_escaped_on_every_road(clock, screen, capsys):
    output = io.StringIO()
    terminal = Terminal(stream=screen, output=output, clock=clock)
    terminal.line(f"{STEERING} a\n\tb")
    terminal.result(f'{{"label": "{STEERING}"}}')
    table = rich.table.Table("class", "f1", show_edge=False)
    table.add_row(STEERING, "1.0")
    terminal.table(table)
    with terminal.progress(STEERING, 2) as phase:
        phase.update(1)

    def fail():
        raise UserError(f"{STEERING}: a mistake\nof two lines")

    assert run_program(fail) == 2
    shown = screen.getvalue() + output.getvalue() + capsys.readouterr().err
    own = shown.replace(CLEAR_LINE, "").replace("\x1b[32m", "").replace("\x1b[0m", "")
    assert not set(own) & set("\x1b\x07\x9b\u202e\r\x00")
    assert f"{ESCAPED} a\n\tb\n" in shown
    assert json.loads(output.getvalue().splitlines()[0]) == {"label": STEERING}
    assert f"error: {ESCAPED}: a mistake of two lines\n" in shown


@given(st.text())
def test_printable_text_is_shown_as_it_is_and_reads_back_as_json(text):
    shown = printable(text)
    assert json.loads(json.dumps([text], ensure_ascii=False)) == json.loads(
        printable(json.dumps([text], ensure_ascii=False))
    )
    assert shown == text or not text.isprintable()
    assert "\n" not in shown
    assert printable("".join(text.split()), layout=True) == printable("".join(text.split()))


def test_signs_that_scripts_need_stay():
    for text in ("नमस्\u200dते", "می\u200cخواهم", "👩\u200d💻", "10\u00a0000", "\u200fעברית", "ﬁ\ufe0f"):
        assert printable(text) == text


def test_a_file_is_a_link_where_the_terminal_of_this_machine_knows_links(tmp_path, monkeypatch):
    class Screen(io.StringIO):
        def isatty(self):
            return True

    def shown(stream=None, **environment):
        for name in (
            "VTE_VERSION",
            "TERM_PROGRAM",
            "SSH_CONNECTION",
            "KITTY_WINDOW_ID",
            "KONSOLE_VERSION",
            "WT_SESSION",
        ):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        stream = stream or Screen()
        Terminal(output=stream).file("report", tmp_path / "名 1.html")
        return stream.getvalue()

    plain = f"report: {tmp_path}/名 1.html\n"
    assert shown() == shown(TERM_PROGRAM="Apple_Terminal") == shown(VTE_VERSION="1", SSH_CONNECTION="x") == plain
    assert shown(io.StringIO(), VTE_VERSION="7000") == plain
    assert f"]8;;file://{tmp_path}/%E5%90%8D%201.html\x1b\\{tmp_path}/名 1.html\x1b]8;;" in shown(TERM_PROGRAM="vscode")
