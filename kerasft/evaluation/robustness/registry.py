"""The changes that an audit makes, in its order. One more is one more line."""

from __future__ import annotations

from kerasft.evaluation.robustness import spelling, wording
from kerasft.evaluation.robustness.base import Perturbation

PERTURBATIONS = (
    Perturbation("typos", spelling.typos, "stay", "one letter wrong in a tenth of the words"),
    Perturbation("lower_case", spelling.lower, "stay", "all letters small"),
    Perturbation("upper_case", spelling.upper, "stay", "all letters capital"),
    Perturbation("no_punctuation", wording.without_punctuation, "stay", "without signs behind words"),
    Perturbation("more_punctuation", wording.more_punctuation, "stay", "more signs at the end"),
    Perturbation("no_accents", spelling.without_accents, "stay", "é becomes e"),
    Perturbation("homoglyphs", spelling.homoglyphs, "stay", "Cyrillic letters that look like Latin ones"),
    Perturbation("full_width", spelling.full_width, "stay", "letters and digits of double width"),
    Perturbation("white_space", spelling.white_space, "stay", "double spaces and a line break"),
    Perturbation("neutral_addition", wording.neutral_addition, "stay", "a polite phrase more"),
    Perturbation("other_names", wording.other_names, "stay", "names of people and places exchanged"),
    Perturbation("other_numbers", wording.other_numbers, "stay", "numbers exchanged"),
    Perturbation("repeated", wording.longer, "stay", "the text twice"),
    Perturbation("word_order", wording.neighbours_swapped, "either", "two neighbours change places"),
    Perturbation("negation", wording.negated, "either", "one verb negated"),
)
