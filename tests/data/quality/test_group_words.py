"""Lists of words for groups of people, and what `data.mitigate` makes of rows that speak of them."""

import json

import pytest

from kerasft.config.schema import Config
from kerasft.data.quality.group_words import WORDS, GroupWords, group_words
from kerasft.data.splits import stage_splits
from kerasft.data.stages.mitigate import reweighed
from kerasft.errors import UserError
from kerasft.tasks.registry import create_task

TEXTS = [("she is kind", "good"), ("he is kind", "good"), ("he is rude", "bad"), ("HE shouts", "bad"), ("rain", "good")]


@pytest.fixture
def staged(tmp_path):
    def stage(**mitigate):
        rows = [{"t": text, "l": label, "who": "x" if row < 2 else "y"} for row, (text, label) in enumerate(TEXTS)]
        (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        source = str(tmp_path / "train.jsonl")
        data = {"train": source, "validation": source, "columns": {"text": "t", "label": "l"}, "mitigate": mitigate}
        values = {"name": "n", "task": {"name": "text_classification"}, "model": {"preset": "x"}, "data": data}
        config = Config.model_validate(values)
        return stage_splits(config, create_task(config), lambda line: None)

    return stage


def test_each_row_about_a_group_comes_again_with_words_of_another(staged):
    found = staged(aspects=["gender"])
    train = found.tables["train"].rows(range(len(found.tables["train"])))
    assert [(row["text"], row["label"]) for row in train[:5]] == TEXTS
    assert [(row["text"], row["label"]) for row in train[5:]] == [
        ("he is kind", "good"), ("she is kind", "good"), ("she is rude", "bad"), ("SHE shouts", "bad")
    ]  # fmt: skip
    assert train[5]["where"] == train[0]["where"] and len(found.tables["validation"]) == 5
    assert found.record()["counts"]["mitigate"]["added"] == 4


def test_rows_weigh_as_if_groups_and_labels_had_nothing_to_do_with_each_other(staged):
    """Kamiran and Calders 2012: P(group) P(label) / P(group, label)."""
    groups, labels = ["m"] * 6 + ["f"] * 4, ["+"] * 4 + ["-"] * 2 + ["+"] + ["-"] * 3
    weights = reweighed(groups, labels)
    assert weights[0] == pytest.approx(6 * 5 / (10 * 4)) and weights[6] == pytest.approx(4 * 5 / (10 * 1))
    assert sum(weights) == pytest.approx(10)
    for group in "mf":
        of_group = [index for index, name in enumerate(groups) if name == group]
        positive = sum(weights[index] for index in of_group if labels[index] == "+")
        assert positive / sum(weights[index] for index in of_group) == pytest.approx(0.5)
    train = staged(methods=["reweigh"], group="who").tables["train"]
    assert train.numpy("weight").tolist() == pytest.approx(
        reweighed(["x"] * 2 + ["y"] * 3, [each for _, each in TEXTS])
    )
    assert min(reweighed(["a"] * 99 + ["b"], ["+"] + ["-"] * 98 + ["+"])) == 0.1  # what is told is bounded


def test_lists_of_a_users_own(tmp_path):
    file = tmp_path / "words.yaml"
    file.write_text("dialect: {one: [dat, gon], other: [that, going to]}\n")
    words = group_words(str(file), None, "--words")["dialect"]
    assert words.group("dat is so") == "one" and words.exchanged("I am going to eat that", "one") == "I am gon eat dat"
    assert [group for group, _ in words.others({"text": "dat"})] == ["other"] and words.others(
        {"text": "dat that"}
    ) == []
    assert group_words(None, ["age"], "x").keys() == {"age"} and isinstance(
        group_words(None, None, "x")["age"], GroupWords
    )
    assert set(group_words(None, None, "x")) == set(WORDS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: {b: [c]}", "a has no two groups"),
        ("a: {b: [c], d: []}", "a.d is no list of words"),
        ("[a]", "has no lists of words"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, content, message):
    file = tmp_path / "words.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=message):
        group_words(str(file), None, "--words")


def test_what_can_not_be_mitigated_is_said(staged):
    with pytest.raises(UserError, match="no words of the aspect height; there are: gender, religion"):
        staged(aspects=["height"])
    with pytest.raises(UserError, match="data.mitigate.group: is for the method reweigh"):
        staged(group="who")
    with pytest.raises(UserError, match="data.mitigate.group age: no row of data.train has it; there are: "):
        staged(methods=["reweigh"], group="age")


def test_words_of_alphabets_with_other_capitals_and_without_ascii():
    assert GroupWords({"a": ["islam"], "b": ["faith"]}).group("İslam dini") == "a"
    assert GroupWords({"a": ["islam"], "b": ["faith"]}).exchanged("İslam", "b").lower() == "faith"
    russian = GroupWords({"a": ["он"], "b": ["она"]})
    assert russian.group("вагон") == "" and russian.group("вот он") == "a"
