"""Records with an input and an output -> rows."""

from __future__ import annotations

from kerasft.config.schema import Config
from kerasft.config.seq2seq import Seq2SeqConfig
from kerasft.tasks.generation.prompts import PromptCompletion


def input_and_output(config: Config, section: Seq2SeqConfig) -> PromptCompletion:
    """How records are read: as prompts with answers. What an encoder reads needs no line break at its end."""
    return PromptCompletion(config, section, ending="")
