"""Records with dialogues: what is read, and which line is told where one is none."""

import pytest

from kerasft.config.text_generation import ChatConfig
from kerasft.data.sources.sources import Record
from kerasft.errors import BadRow
from kerasft.tasks.text_generation.dialogue_rows import messages_of

RECORD = Record({}, "a.jsonl:3")


def read(value, role="messages", **chat):
    return [tuple(message) for message in messages_of(value, role, ChatConfig(**chat), "c", RECORD)]


def test_messages_and_turns():
    found = [("user", "Hi"), ("assistant", "Hello\nyou")]
    assert read([{"role": "user", "content": " Hi\n"}, {"role": "assistant", "content": "Hello\nyou"}]) == found
    shared = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello\nyou", "weight": 1}]
    names = {"role_key": "from", "content_key": "value", "rename": {"human": "user", "gpt": "assistant"}}
    assert read(shared, **names) == found
    assert read(["Hi ", "Hello\nyou", "Hm"], "turns") == [*found, ("user", "Hm")]
    assert read(["a", "b"], "turns", turns=["assistant"]) == [("assistant", "a"), ("assistant", "b")]


@pytest.mark.parametrize(
    ("value", "role", "message"),
    [
        ([], "messages", r"column 'c' is \[\]; a list of messages is needed"),
        ("Hi", "turns", "column 'c' is 'Hi'; a list of turns is needed"),
        (["Hi", 3], "turns", "turn 2 is 3; a text is needed"),
        ([{"role": "user", "text": "Hi"}], "messages", r"message 1 is .*; {role: text, content: text} is needed"),
        (["Hi"], "messages", "message 1 is 'Hi'"),
    ],
)
def test_what_is_no_dialogue(value, role, message):
    with pytest.raises(BadRow, match=f"^a.jsonl:3: {message}|^a.jsonl:3: column 'c': {message}"):
        read(value, role)
