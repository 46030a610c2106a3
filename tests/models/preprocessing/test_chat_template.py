"""Dialogues as texts: ChatML by itself, other forms by the config, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tiny_gguf import SMOLLM

from kerasft.config.text_generation import ChatConfig
from kerasft.errors import UserError
from kerasft.models.preprocessing.chat_template import ChatTemplate, Message
from kerasft.models.presets.gguf_file import read_gguf
from kerasft.models.presets.presets import resolve_preset

DIALOGUE = [Message("user", "Hi"), Message("assistant", "Hello\nyou"), Message("user", "Who?")]
SMOL = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


def test_chatml_by_itself():
    said = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello\nyou<|im_end|>\n"
    said += "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n"
    assert ChatTemplate(ChatConfig()).prompt(DIALOGUE) == said


def test_a_plain_form():
    template = ChatTemplate(ChatConfig(opening="{role}: ", end="\n", between="", learn=["Bob"], turns=["Ann", "Bob"]))
    assert template.prompt([Message("Ann", "Hi")]) == "Ann: Hi\nBob: "
    assert template.stops({"<|endoftext|>"}) == ["\n"]
    assert ChatTemplate(ChatConfig()).stops({"<|im_end|>"}) == []


def test_a_system_turn_is_the_configs_or_the_dialogues_own():
    template = ChatTemplate(ChatConfig(system="Be kind."))
    assert template.with_system(DIALOGUE)[0] == Message("system", "Be kind.")
    own = [Message("system", "Be brief."), *DIALOGUE]
    assert template.with_system(own) == own
    assert ChatTemplate(ChatConfig()).with_system(DIALOGUE) == DIALOGUE


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text()), min_size=1))
def test_the_parts_of_turns_make_the_text(turns):
    template = ChatTemplate(ChatConfig(learn=["assistant", "user"]))
    parts = [template.render_turn(Message(*turn)) for turn in turns]
    assert template.text(Message(*turn) for turn in turns) == "".join(
        f"{part.opening}{part.closed}\n" for part in parts
    )
    assert [part.learnt for part in parts] == [role != "system" for role, _ in turns]


@pytest.mark.parametrize(
    ("chat", "message"),
    [
        ({"opening": "{who}: "}, "task.chat.opening: {who} is none of"),
        ({"opening": "User: "}, "task.chat.opening: {role} is not in it"),
        ({"opening": "{role.__class__}"}, "task.chat.opening: {role.__class__} is none of"),
        ({"learn": ["system"]}, "task.chat.learn: system is not a role that answers"),
    ],
)
def test_what_a_template_can_not_hold(chat, message):
    with pytest.raises(UserError) as error:
        ChatTemplate(ChatConfig(**chat))
    assert message in str(error.value)


@pytest.mark.real
def test_smollm_reads_what_its_own_template_says():
    told = read_gguf(resolve_preset(SMOLLM)).chat_template
    jinja = ImmutableSandboxedEnvironment().from_string(told)
    for dialogue in (DIALOGUE, [Message("system", "Be brief."), *DIALOGUE]):
        messages = [message._asdict() for message in dialogue]
        wanted = jinja.render(messages=messages, add_generation_prompt=True)
        assert ChatTemplate(ChatConfig(system=SMOL)).prompt(dialogue) == wanted
