"""Templates and label texts: what is refused, before a model is loaded."""

import pytest

from kerasft.errors import UserError
from kerasft.prompting.base import Labels
from kerasft.prompting.templates import Template, label_texts
from kerasft.prompting.verbalizers import check_distinct


def test_a_template_is_cut_at_its_names_and_filled():
    template = Template.parse("{{{text}}} is {mask}.", ("text", "mask"))
    assert template.parts == (("{", None), ("", "text"), ("}", None), (" is ", "mask"), (".", None))
    assert template.fill({"text": "a", "mask": "b"}) == "{a} is b."


@pytest.mark.parametrize(
    "text, fault",
    [
        ("{text} is good", "{mask} is not in it"),
        ("{text} {mask} {mask}", "{mask} is in it more than once"),
        ("{text.__class__} {mask}", "means nothing here"),
        ("{text!r} {mask}", "means nothing here"),
        ("{text:>9} {mask}", "means nothing here"),
        ("{text {mask}", "prompting.template"),
        ("none/there.txt", "can't be read"),
    ],
)
def test_values_alone_stand_in_a_template(text, fault):
    with pytest.raises(UserError, match=fault):
        Template.parse(text, ("text", "mask"))


def test_a_template_may_be_a_file_of_the_library():
    assert Template.parse("configs/prompts/topic-cloze.txt", ("text", "mask")).parts[1] == (" The topic is ", "mask")


def test_texts_of_labels_are_names_unless_they_are_given():
    assert label_texts(["card_lost", "top-up"], {"top-up": ["add money", "charge"]}) == [
        ["card lost"],
        ["add money", "charge"],
    ]
    with pytest.raises(UserError, match="'a_b' and 'a-b' have the same text"):
        label_texts(["a_b", "a-b"], None)
    with pytest.raises(UserError, match="'a' has an empty text"):
        label_texts(["a", "b"], {"a": " "})


def test_label_words_that_the_tokenizer_can_not_tell_apart_are_an_error_that_names_both():
    labels = Labels(["yes", "Yes"], [["yes"], ["Yes"]])
    with pytest.raises(UserError, match="'yes' and 'Yes' have texts of the same tokens"):
        check_distinct(labels, [[[7]], [[7]]], 0)
    with pytest.raises(UserError, match="'Yes': the model has no token for 'Yes'"):
        check_distinct(labels, [[[7]], [[0]]], 0)
    check_distinct(labels, [[[7, 8]], [[7, 9]]], 0)  # one first token is no collision where all are scored
