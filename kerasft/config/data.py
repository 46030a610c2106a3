"""The keys of `data`: where examples come from, and how they are read."""

from typing import Any, Literal, Optional, Union

from pydantic import Field, field_validator

from kerasft.config.clean import CleanConfig
from kerasft.config.corrections import CorrectionsConfig
from kerasft.config.mitigate import MitigateConfig
from kerasft.config.section import Folder, Section

Sources = Union[str, list[str]]
LEAVE_ONE_OUT = "leave_one_out"  # of data.validation
Format = Literal[
    "auto",
    "csv",
    "tsv",
    "tab",
    "json",
    "jsonl",
    "squad",
    "conll",
    "xlsx",
    "parquet",
    "arrow",
    "txt",
    "document",
    "folder",
    "tfds",
]


def _or_a_path(schema: dict[str, Any]) -> None:
    """A path stands for a section of its `file` alone; editors should know."""
    schema["anyOf"] = [{"type": "string"}, *schema["anyOf"]]


class DataConfig(Section):
    """Where the examples come from."""

    train: Sources = Field([], description="Training examples: a source or a list of them; with prompting, none.")
    validation: Union[float, Sources] = Field(
        0.1,
        description="A share of train (stratified, seeded), a source of its own, or leave_one_out: with "
        "training.fit_head, each row of train is answered by a head that was fitted without it.",
    )
    test: Union[None, float, Sources] = Field(
        None, description="A source, or a share of train (stratified, seeded); null: nothing is tested."
    )
    columns: dict[str, str] = Field(description="Role -> column name, for example {text: Text, label: Category}.")
    format: Format = Field(
        "auto", description="The format of every source; auto: by the ending of the file; document: a file is one text."
    )
    encoding: str = Field(
        "auto",
        description="The encoding of text files, as Python names it, such as gb18030 or utf-16; auto: UTF-8, "
        "otherwise a guess (UTF-16 or GB18030) that is printed.",
    )
    delimiter: str = Field(
        "auto",
        description="The character between the fields of CSV and TSV; auto: by the format, otherwise by the header, "
        "and a line says so.",
    )
    quoting: Literal["auto", "minimal", "none"] = Field(
        "auto",
        description="For CSV and TSV. minimal: double quotes around a field are not part of it; none: a quote is an "
        "ordinary character, and each line is a row; auto: minimal, but a quote that would swallow rows "
        "is refused.",
    )
    max_row_bytes: int = Field(
        16 << 20, ge=1, description="The largest row, text or document, in bytes; a longer one is refused."
    )
    clean: Optional[CleanConfig] = Field(
        None, description="What happens to rows of train that are empty, leak, contradict or repeat; null: nothing."
    )
    corrections: Optional[CorrectionsConfig] = Field(
        None,
        description="A file of corrected labels, as kerasft audit-labels writes it, or a section; null: nothing is "
        "corrected. Rows of test stay as they are.",
        json_schema_extra=_or_a_path,
    )
    mitigate: Optional[MitigateConfig] = Field(
        None,
        description="What is done to train so that the model treats groups of people more alike, for one label a text; "
        "kerasft audit --mitigate tries it beside the run without. null: nothing.",
    )
    folds: Optional[int] = Field(
        None,
        ge=2,
        le=100,
        description="Cross-validation: kerasft train trains so many runs, each measured on a part of train that the "
        "others learn from; null: one run.",
    )
    limit: Optional[int] = Field(
        None, ge=1, description="Use a random sample of this many training examples (by the seed)."
    )
    shots: Optional[int] = Field(
        None,
        ge=1,
        description="Learn from this many rows of each label, drawn by the seed and by what they hold: the same rows "
        "on every machine, and those of fewer shots are among them. null: all rows.",
    )
    draws: int = Field(
        1,
        ge=1,
        description="How many times shots are drawn and learnt from; figures of test are then means over the draws.",
    )
    draw: int = Field(0, ge=0, description="Which of the draws; the first one makes the model that is exported.")
    batching: Literal["auto", "pad", "bucket", "pack"] = Field(
        "auto",
        description="pad: shuffled rows; bucket: rows of similar length together; pack: several texts share a row of "
        "the transformer layers; auto: bucket; on a TPU pack if it saves work, otherwise pad.",
    )

    cache: Optional[Folder] = Field(
        None,
        min_length=1,
        description="A folder, such as gs://BUCKET/FOLDER, that keeps tokenized splits for later runs; it contains "
        "the texts, as token ids. null: each run tokenizes.",
    )

    @field_validator("validation", "test")
    @classmethod
    def _share(cls, value: Union[None, float, Sources]) -> Union[None, float, Sources]:
        if isinstance(value, float) and not 0 < value < 1:
            raise ValueError(f"{value} is not a share between 0 and 1; name a share such as 0.1, or a file")
        return value

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, value: str) -> str:
        try:
            "a".encode(value if value != "auto" else "utf-8")
            return value
        except (LookupError, ValueError):
            raise ValueError(f"{value!r} is no encoding; name one such as utf-8, gb18030, utf-16 or cp1252") from None

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str) -> str:
        value = {"tab": "\t", "\\t": "\t"}.get(value, value)
        if value != "auto" and (len(value) != 1 or value in '"\r\n\0'):
            raise ValueError(f"{value!r} separates nothing; write one character, such as ';', tab, or auto")
        return value
