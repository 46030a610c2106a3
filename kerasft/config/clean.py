"""The section `data.clean`: what is done with rows of train that teach nothing, or the wrong thing."""

from typing import Literal, Optional

from pydantic import Field, model_validator

from kerasft.config.section import Section

Action = Literal["keep", "drop", "fail"]


class CleanConfig(Section):
    """Rows of train that are counted and reported (keep), removed and listed in cleaning.json (drop), or refused.

    What is null is not looked for."""

    empty: Action = Field("keep", description="Rows with a text that is only white space.")
    leakage: Literal["keep", "drop_from_train", "fail"] = Field(
        "keep", description="Rows of train whose texts are also in validation or test, with the same answer or another."
    )
    conflicts: Literal["keep", "drop", "majority", "fail"] = Field(
        "keep",
        description="Rows with the same texts and different answers; symbols such as emoji count here. majority: "
        "rows with the most frequent answer stay; if there is no single most frequent answer, all go.",
    )
    duplicates: Action = Field("keep", description="All rows but one of those with the same texts and the same answer.")
    near_duplicates: Optional[Action] = Field(
        None,
        description="All rows but one of those with nearly the same texts (see similarity) and the same answer. Nearly "
        "the same texts with different answers always stay: one word decides. null: not looked for.",
    )
    similarity: float = Field(
        0.8,
        gt=0.3,
        le=1,
        description="Texts with at least this Jaccard similarity of character 4-grams are nearly the same.",
    )
    normalise: Optional[Literal["keep", "fix", "drop", "fail"]] = Field(
        None,
        description="Rows with texts that were decoded wrongly (by ftfy), or with control characters. fix: they are "
        "repaired. null: not looked for. Needs the extra quality.",
    )
    languages: Optional[Action] = Field(
        None,
        description="Rows with a text in another language than expected_languages; short texts are never taken for "
        "another language. null: not looked for. Needs the extra quality.",
    )
    expected_languages: Optional[list[str]] = Field(
        None,
        min_length=1,
        description="Codes of ISO 639-1, such as [en, de]; null: the language that most rows of train have.",
    )
    redact: Optional[Literal["keep", "mask", "drop", "fail"]] = Field(
        None,
        description="Rows with personal data: e-mail addresses, telephone numbers, payment cards, bank accounts. mask: "
        "a word such as [EMAIL] takes its place. null: not looked for.",
    )

    @model_validator(mode="after")
    def _known_languages(self) -> "CleanConfig":
        for code in self.expected_languages or ():
            if not (len(code) in (2, 3) and code.isascii() and code.isalpha() and code.islower()):
                raise ValueError(f"expected_languages: {code!r} is no code of ISO 639-1; write one such as en or zh")
        return self
