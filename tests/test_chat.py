"""`kerasft chat`: lines in, answers out; what was said before is known as far as there is room."""

import io
import json
import sys
from pathlib import Path

import pytest
import yaml
from tiny_gguf import write_gguf

from kerasft import chat
from kerasft.config.load import load_config
from kerasft.inference.chat import Conversation, Streaming, Whole
from kerasft.inference.export import Export
from kerasft.inference.untrained import Untrained
from kerasft.models.preprocessing.chat_template import Message
from kerasft.serving.exporter import save


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("chat")
    write_gguf(folder / "a.gguf", "Q8_0")
    task = {"name": "text_generation", "mode": "chat", "decoding": {"max_new_tokens": 8}}
    told = {"name": "t", "task": task, "data": {"train": "none.jsonl", "columns": {"messages": "m"}}}
    told["model"] = {"preset": f"gguf:{folder}/a.gguf", "max_length": 64}
    (folder / "c.yaml").write_text(yaml.safe_dump(told))
    return folder / "c.yaml"


@pytest.fixture(scope="module")
def trained(config):
    return Untrained.open(config, ["task.decoding.temperature=1.5"]).load()


@pytest.fixture(scope="module")
def greedy(config):
    return Untrained.open(config).load()


@pytest.fixture(scope="module")
def exported(config, greedy, tmp_path_factory) -> Path:
    """What chat reads of an export; how one is made and checked whole is tests/serving's."""
    folder = tmp_path_factory.mktemp("saved_models") / "t" / "1"
    save(greedy.task, greedy.preprocessor, greedy.model, folder)
    facts = {"config": load_config(config).model_dump(mode="json"), "state": {}}
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "kerasft.json").write_text(json.dumps(facts))
    return folder


def test_pieces_are_the_answer_of_predict(trained):
    conversation = Conversation(Streaming(trained))
    said = "".join(conversation.ask("the"))
    prompt = "<|im_start|>user\nthe<|im_end|>\n<|im_start|>assistant\n"
    told = trained.preprocessor({"prompt": [prompt]})
    found = trained.task.generator(told, trained.task.generator.sampling_params(told))
    assert said == found["text"].numpy()[0].decode() and len(said) > 2
    assert conversation._messages == [Message("user", "the"), Message("assistant", said.strip())]


def test_oldest_turns_are_forgotten_where_there_is_no_room(trained):
    conversation = Conversation(Streaming(trained), "be")
    for text in ("one", "two", "three"):
        list(conversation.ask(text))
    said = [message.content for message in conversation._messages]
    assert said[0] == "be" and said[1] == "three" and len(said) == 3
    conversation.forget()
    assert conversation._messages == [Message("system", "be")]


def test_an_answer_left_early_is_what_there_was(trained):
    conversation = Conversation(Streaming(trained))
    stream = conversation.ask("the")
    first = next(stream)
    stream.close()
    assert conversation._messages[-1] == Message("assistant", first.strip())


def test_lines_of_a_pipe(config, monkeypatch, capsys):
    told = [str(config), "--temperature", "2", "--seed", "3", "--stop", "\n", "--max-new-tokens", "4"]
    answers = []
    for _ in range(2):
        monkeypatch.setattr(sys, "stdin", io.StringIO("the\n\n/forget\n12"))
        assert chat.main(told) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1] and answers[0].count("\n") == 2


def test_an_export_answers_as_the_model_it_was_made_of(greedy, exported):
    dialogues = [Conversation(Whole(Export.open(exported).load()), "be"), Conversation(Streaming(greedy), "be")]
    for text in ("the 12", *["the the 12 the"] * 3):  # more than there is room for
        whole, pieces = ("".join(dialogue.ask(text)) for dialogue in dialogues)
        assert whole == pieces and len(whole) > 2
    assert dialogues[0]._messages == dialogues[1]._messages and len(dialogues[0]._messages) < 9


def test_what_an_export_is_told(exported, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("the\n/forget\nthe\n"))
    assert chat.main([str(exported.parent), "--temperature", "2", "--seed", "3", "--max-new-tokens", "4"]) == 0
    out = capsys.readouterr().out
    assert out[: len(out) // 2] * 2 == out != "\n\n"


def test_what_an_export_can_not_be_told(exported, capsys):
    for told in (["--stop", "a"], ["task.decoding.top_k=3"]):
        assert chat.main([str(exported), *told]) == 2
        assert "is an export and stays as it is; it can be told --temperature" in capsys.readouterr().err
    assert chat.main([str(exported), "--temperature", "-1"]) == 2
    assert "task.decoding.temperature" in capsys.readouterr().err


def test_mistakes_are_one_line(config, monkeypatch, capsys, tmp_path):
    assert chat.main([str(config), "--temperature", "-1"]) == 2
    assert "task.decoding.temperature" in capsys.readouterr().err
    assert chat.main([str(config), "task.mode=corpus", "data.columns={text: t}"]) == 2
    assert "task.mode is not chat; ask it by: kerasft predict" in capsys.readouterr().err
    assert chat.main([str(config), "task.decoding.beams=3"]) == 2
    assert "the best of 3 beams is known only at the end; give task.decoding.beams=1" in capsys.readouterr().err
    assert chat.main([str(tmp_path)]) == 2
    assert load_config(config, []).task.mode == "chat"


def test_ctrl_c_ends_an_answer_where_someone_watches_and_all_elsewhere(monkeypatch, capsys):
    closed = []

    def pieces():
        try:
            yield "a"
            raise KeyboardInterrupt
        finally:
            closed.append(True)

    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stdin", terminal)
    with pytest.raises(KeyboardInterrupt):
        chat._answer(pieces())
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    chat._answer(pieces())
    assert capsys.readouterr().out == "aa\n" and len(closed) == 2


def test_ctrl_d_ends_the_dialogue(monkeypatch):
    monkeypatch.setattr(sys, "stdin", terminal := io.StringIO("Hi \n"))
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    assert list(chat._lines()) == ["Hi"]
