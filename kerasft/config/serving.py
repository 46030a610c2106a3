"""The section `serving` of a config: what an export's server must not take in or give out."""

from typing import Literal, Optional

from pydantic import Field, model_validator

from kerasft.config.section import Folder, Section

Pattern = Literal["email", "phone", "card", "iban", "chinese_id"]


class FilterConfig(Section):
    """Texts that `kerasft serve` stops, masks or counts: by words, by forms of personal data, or by a classifier."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=40, description="Names the filter in metrics and messages."
    )
    words: Optional[list[str]] = Field(
        None, min_length=1, description="Words and phrases, in any case; whole words, where words have spaces."
    )
    patterns: Optional[list[Pattern]] = Field(
        None, min_length=1, description="Forms of personal data; numbers with check digits only if these are right."
    )
    model: Optional[Folder] = Field(
        None,
        min_length=1,
        description="The export of a text classifier, such as saved_models/toxicity, on the server's machine.",
    )
    labels: list[str] = Field([], description="For model: the labels that are stopped.")
    threshold: float = Field(0.5, gt=0, le=1, description="For model: the least score of such a label.")
    on: Literal["input", "output", "both"] = Field("both", description="Texts that come in, texts that are written.")
    action: Literal["block", "mask", "flag"] = Field(
        "block",
        description="block: the request is refused; mask: what was found (of a model, the text) becomes [NAME]; flag: "
        "it is counted and goes to the review file.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> "FilterConfig":
        kinds = [key for key in ("words", "patterns", "model") if getattr(self, key) is not None]
        if len(kinds) != 1:
            raise ValueError(f"a filter has one of words, patterns and model, and {self.name} has {len(kinds)}")
        if (self.model is None) != (not self.labels):
            raise ValueError(f"labels and model go together, and {self.name} has one of them; name both or neither")
        if any(not word.strip() for word in self.words or ()):
            raise ValueError(f"words of {self.name}: one is empty, and would be found everywhere; remove it")
        return self


class ServingConfig(Section):
    """What goes with every export of this config."""

    filters: list[FilterConfig] = Field([], description="What must not come in or go out, in this order.")

    @model_validator(mode="after")
    def _different_names(self) -> "ServingConfig":
        names = [each.name for each in self.filters]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two filters are called {twice[0]}; give each its own name")
        return self
