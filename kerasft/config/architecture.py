"""The section `model.architecture`: a backbone from scratch."""

from typing import Any, Literal, Optional

from pydantic import Field, model_validator

from kerasft.config.section import Section


class ArchitectureConfig(Section):
    """A backbone with random weights; its tokenizer is trained on the texts of data.train."""

    family: Literal["bert", "gpt2", "bart"] = Field(
        description="bert: an encoder with WordPiece; with byte-level BPE or SentencePiece gpt2: a decoder, for "
        "text_generation, and bart: an encoder and a decoder, for seq2seq."
    )
    tokens: Literal["subwords", "characters", "sentencepiece"] = Field(
        "subwords",
        description="For gpt2 and bart. subwords: byte-level BPE; characters: each character of the corpus is a token; "
        "sentencepiece: SentencePiece's BPE, with bytes for what the vocabulary lacks.",
    )
    layers: int = Field(
        4, ge=1, description="Transformer layers; for bart, this many in the encoder and also in the decoder."
    )
    heads: int = Field(4, ge=1, description="Attention heads in each layer; they share its width.")
    hidden: int = Field(256, ge=2, description="Width of a token's vector.")
    intermediate: int = Field(1024, ge=1, description="Width inside a layer's feed-forward part.")
    vocabulary_size: int = Field(8000, ge=32, description="The largest vocabulary; a small corpus gives fewer tokens.")
    positions: Optional[int] = Field(
        None,
        ge=4,
        description="The longest text, in tokens, in any task that starts from this model; null: model.max_length.",
    )
    lowercase: bool = Field(True, description="Lower-case texts and strip accents; false for gpt2 and bart.")

    @model_validator(mode="before")
    @classmethod
    def _own_case(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("family") in ("gpt2", "bart"):
            values = {"lowercase": False, **values}
        return values

    @model_validator(mode="after")
    def _of_the_family(self) -> "ArchitectureConfig":
        if self.family != "bert" and self.lowercase:
            raise ValueError(f"lowercase: true is for bert; what a {self.family} reads it also writes; set false")
        if self.family == "bert" and self.tokens != "subwords":
            raise ValueError(f"tokens: {self.tokens} is for gpt2 and bart; a bert has subwords")
        return self

    @model_validator(mode="after")
    def _whole_heads(self) -> "ArchitectureConfig":
        if self.hidden % self.heads:
            raise ValueError(f"hidden: {self.hidden} does not divide over {self.heads} heads; use a multiple of it")
        return self
