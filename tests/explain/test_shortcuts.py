"""Words that answers hang on: counted by label, and those that a label is not named after first."""

from kerasft.explain.shortcuts import label_words, shortcuts


def test_words_are_counted_by_label_and_a_surprise_comes_before_what_the_label_says():
    labels = ["virtual_card"] * 6 + ["Rückgabe"] * 6
    virtual = {"virtual": (5.0, True), "lemon": (3.0, True), "the": (0.1, False)}
    hidden = [virtual] * 4 + [{"virtual": (5.0, True)}] * 2 + [{"rückgabe": (2.0, True)}] * 5 + [{"x": (1.0, True)}]
    words = label_words(labels, hidden)
    assert (
        words["virtual_card"]["texts"] == 6 and [row["word"] for row in words["virtual_card"]["words"]][0] == "virtual"
    )
    found = shortcuts(words)
    assert [(row["word"], row["named"]) for row in found] == [("lemon", False), ("virtual", True), ("rückgabe", True)]
    assert [round(row["flips"], 2) for row in found] == [0.67, 1.0, 0.83]  # x: one of six is too few


def test_a_chinese_label_is_named_after_its_characters():
    words = label_words(["体育"] * 5, [{"体": (2.0, True), "球": (2.0, True)}] * 5)
    assert {row["word"]: row["named"] for row in shortcuts(words)} == {"体": True, "球": False}
