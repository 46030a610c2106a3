"""The section `data.mitigate`: what is done to train so that a model treats groups of people more alike."""

from typing import Literal, Optional

from pydantic import Field

from kerasft.config.section import Folder, Section

Method = Literal["counterfactual", "reweigh"]


class MitigateConfig(Section):
    """For one label a text: rows of train that speak of groups of people are added, or weigh more or less."""

    methods: list[Method] = Field(
        ["counterfactual"],
        min_length=1,
        description="counterfactual: each row that speaks of one group comes again with the words of another, for each "
        "aspect; reweigh: rows of a group and a label weigh as if groups and labels had nothing to do with each other.",
    )
    aspects: Optional[list[str]] = Field(
        None, min_length=1, description="Of the word lists, such as gender, religion, origin, age; null: all of them."
    )
    words: Optional[Folder] = Field(
        None,
        min_length=1,
        description="A YAML file of lists of your own, {ASPECT: {GROUP: [WORDS]}}, instead of those that come with the "
        "program; words at the same place in two groups stand for each other.",
    )
    group: Optional[str] = Field(
        None,
        min_length=1,
        description="For reweigh: a column of the data with a group of people, which the model never sees; null: "
        "groups are those that texts speak of by the word lists.",
    )
