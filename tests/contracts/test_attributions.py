"""What every method of attribution must hold to; a method joins with a line of EXACT."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.task_rows import configured, settings  # noqa: F401
from support.tiny_models import make_tiny

from kerasft import load
from kerasft.assembly import assemble
from kerasft.attribution.base import Question
from kerasft.attribution.encoder_decoder import EncoderDecoderExplainer
from kerasft.attribution.explainer import Explainer
from kerasft.attribution.registry import ATTRIBUTIONS, create
from kerasft.attribution.shap import TreeShap
from kerasft.attribution.vectors import VectorModel
from kerasft.attribution.written import WrittenExplainer
from kerasft.data.splits import load_splits
from kerasft.errors import UserError
from kerasft.explain import program
from kerasft.runs import Trained
from kerasft.tasks.registry import create_task

# On a linear model: the baseline that the parts are measured from.
EXACT = {"integrated_gradients": "mask", "gradient_times_input": "zero", "occlusion": "mask", "shap": "mask"}
METHODS = pytest.mark.parametrize("name", sorted(ATTRIBUTIONS))
MASK = 1
TEXTS = ["goal in the match, a score!", "the bank", "", "stock " * 40, "好 of 😀\u200d👧 naïve", " \t"]


def test_every_method_is_held_to_it():
    assert EXACT.keys() == ATTRIBUTIONS.keys()


def linear_model() -> keras.Model:
    """A bag of words: the sum of the vectors of its tokens, then a linear layer."""
    ids, mask = (keras.Input([None], dtype="int32", name=name) for name in ("token_ids", "padding_mask"))
    vectors = keras.layers.Embedding(9, 4, name="token_embedding", embeddings_initializer="normal")(ids)
    total = keras.ops.sum(vectors * keras.ops.cast(mask, "float32")[..., None], 1)
    return keras.Model({"token_ids": ids, "padding_mask": mask}, keras.layers.Dense(3)(total))


def question(ids, words, index=1) -> Question:
    ids = np.array(ids, np.int32)
    features = {"token_ids": ids, "padding_mask": np.ones_like(ids)}
    words = np.array(words, np.int32)
    return Question(features, words, int(words.max(initial=-1)) + 1, np.array([[index]]), np.ones(1, np.float32))


@METHODS
def test_of_a_bag_of_words_each_word_has_its_weight_times_its_count(name):
    model = linear_model()
    vectors, (kernel, _) = model.get_layer("token_embedding").get_weights()[0], model.layers[-1].get_weights()
    weight = vectors @ kernel[:, 1]
    base = weight[MASK] if EXACT[name] == "mask" else 0.0
    asked = [question([7, 4, 4, 5, 8], [-1, 0, 0, 1, -1]), question([2, 3, 6], [0, 1, 2])]
    first, second = ATTRIBUTIONS[name]().attribute(VectorModel(model, {"token_ids": 0, "padding_mask": 0}, MASK), asked)
    np.testing.assert_allclose(first.words, [2 * (weight[4] - base), weight[5] - base], atol=1e-6)
    np.testing.assert_allclose(second.words, weight[[2, 3, 6]] - base, atol=1e-6)
    rest = 0.0 if EXACT[name] == "mask" else weight[7] + weight[8]
    assert first.remainder == pytest.approx(rest, abs=1e-6) and first.gap < 1e-4


def test_integrated_gradients_are_the_papers_where_the_integral_has_a_closed_form():
    """Of tanh of a linear model, words share the change as they share the way."""
    ids, mask = (keras.Input([None], dtype="int32", name=name) for name in ("token_ids", "padding_mask"))
    vectors = keras.layers.Embedding(9, 4, name="token_embedding", embeddings_initializer="normal")(ids)
    total = 9.0 * keras.ops.sum(vectors, 1)
    model = keras.Model({"token_ids": ids, "padding_mask": mask}, keras.layers.Dense(1, "tanh")(total))
    kernel, bias = model.layers[-1].get_weights()
    weight = 9.0 * (model.get_layer("token_embedding").get_weights()[0] @ kernel[:, 0])
    tokens = np.array([4, 5, 6])
    way = weight[tokens] - weight[MASK]
    start, end = np.tanh(3 * weight[MASK] + bias[0]), np.tanh(weight[tokens].sum() + bias[0])
    method = create("integrated_gradients")
    vectors = VectorModel(model, {"token_ids": 0, "padding_mask": 0}, MASK)
    (found,) = method.attribute(vectors, [question(tokens, [0, 1, 2], 0)])
    np.testing.assert_allclose(found.words, way / way.sum() * (end - start), atol=1e-5)
    assert (found.baseline, found.value) == pytest.approx((start, end), abs=1e-6)


@pytest.fixture(scope="module")
def models(tiny_preset) -> dict:
    names = ("single_label", "multi_label", "regression", "token_classification", "question_answering")
    return {name: Trained(*make_tiny(tiny_preset, name)) for name in (*names, "relation_extraction")}


@pytest.fixture(scope="module")
def explainer(models) -> Explainer:
    return Explainer(models["single_label"])


@METHODS
def test_the_gap_is_that_of_the_sum_and_ends_are_the_models_own(explainer, name):
    text = {"text": "goal in the match of a bank"}
    found = next(explainer.explain([text], create(name), label="trade"))
    total = sum(word["score"] for word in found["words"]) + found["remainder"]
    change = found["value"] - found["baseline"]
    assert found["completeness_gap"] == pytest.approx(abs(total - change) / abs(change), rel=1e-9)
    assert found["label"] == "trade" and found["method"] == name
    logits = explainer._read({"text": tf.constant([text["text"]])})[1].numpy()
    assert found["value"] == pytest.approx(float(logits[0, 1]), abs=1e-5)
    if EXACT[name] == "mask":
        hidden = " ".join(["[MASK]"] * 7)
        logits = explainer._read({"text": tf.constant([hidden])})[1].numpy()
        assert found["baseline"] == pytest.approx(float(logits[0, 1]), abs=1e-5)
    if ATTRIBUTIONS[name].complete:
        assert found["completeness_gap"] < 0.01


@METHODS
def test_a_texts_scores_are_the_same_alone_and_beside_longer_ones(explainer, name):
    rows = [{"text": text} for text in TEXTS]
    together = list(explainer.explain(rows, create(name), label="sport"))
    for number, row in enumerate(rows):
        (alone,) = explainer.explain([row], create(name), label="sport")
        for mine, other in zip(alone["words"], together[number]["words"], strict=True):
            assert row["text"][mine["start"] : mine["end"]] == mine["text"] == other["text"]
            assert (mine["score"] is None) == (other["score"] is None)
            assert mine["score"] is None or mine["score"] == pytest.approx(other["score"], abs=2e-5)
    assert [len(found["words"]) for found in together] == [8, 2, 0, 40, 4, 0]
    read = [word["score"] is not None for word in together[3]["words"]]
    assert read[:30] == [True] * 30 and not any(read[30:])  # what is cut has no figure


@METHODS
def test_a_contrast_is_the_difference_of_two_labels(explainer, name):
    row, method = {"text": "goal in the match"}, create(name)
    sport, trade, both = (
        next(explainer.explain([row], method, *labels)) for labels in (("sport",), ("trade",), ("sport", "trade"))
    )
    assert both["contrast"] == "trade" and both["value"] == pytest.approx(sport["value"] - trade["value"], abs=1e-5)
    if name != "shap":  # whose tree is divided by the number itself
        each = [[word["score"] for word in found["words"]] for found in (sport, trade, both)]
        np.testing.assert_allclose(np.subtract(*each[:2]), each[2], atol=2e-3 * max(map(abs, each[2])) + 1e-5)


def test_shap_of_few_words_is_the_shapley_value():
    """Of two words, where a tree has one order."""
    model = VectorModel(linear_model(), {"token_ids": 0, "padding_mask": 0}, MASK)
    known = {(): 1.0, (0,): 3.0, (1,): 2.0, (0, 1): 8.0}
    model.scores = lambda rows, ids: np.array([known[tuple(np.flatnonzero(each != MASK))] for each in ids])
    (found,) = TreeShap().attribute(model, [question([4, 5], [0, 1])])
    np.testing.assert_allclose(found.words, [(2 + 6) / 2, (1 + 5) / 2])
    known = {shown: float(len(shown) ** 2) for shown in [*known, (2,), (0, 2), (1, 2), (0, 1, 2)]}
    (found,) = TreeShap(passes=4).attribute(model, [question([4, 5, 6], [0, 1, 2])])
    assert found.words.sum() == pytest.approx(9.0) and found.points <= 4  # shared evenly, and complete all the same


def test_every_part_of_an_answer_is_explained(models):
    method = create("integrated_gradients")

    def explained(name, **row):
        return list(Explainer(models[name]).explain([row], method))

    (number,) = explained("regression", text="the bank of a team", text_pair="goal!")
    assert isinstance(number["label"], float)
    assert [word["input"] for word in number["words"]] == ["text"] * 5 + ["text_pair"] * 2
    start, end = explained("question_answering", question="the bank?", context="a match in the stock market " * 3)
    assert (start["of"], end["of"]) == ("start", "end") and start["label"] == end["label"] != ""
    entities = explained("token_classification", text="goal match team score " * 12)
    assert entities and {found["label"] for found in entities} <= {"person", "place"}
    for found in entities:
        place = found["entity"]
        assert ("goal match team score " * 12)[place["start"] : place["end"]] == place["text"]
        assert any(word["score"] is None for word in found["words"])  # other windows
        assert next(word for word in found["words"] if word["start"] == place["start"])["score"] is not None
    labels = explained("multi_label", text="a goal of the team")
    answer = models["multi_label"].task.rows(models["multi_label"].answer({"text": ["a goal of the team"]}))[0]
    assert [found["label"] for found in labels] == (answer["labels"] or [answer["label"]])
    (relation,) = explained("relation_extraction", text="<e1>goal</e1> of the <e2>team</e2>")
    assert relation["label"] in models["relation_extraction"].task.state["labels"]


@pytest.mark.parametrize(
    ("kind", "explain"), [("answers to prompts", WrittenExplainer), ("outputs", EncoderDecoderExplainer)]
)
def test_each_written_token_is_explained_by_what_stands_before_it(configured, kind, explain):  # noqa: F811
    config = configured(kind)
    task = create_task(config)
    made = assemble(config, task, preset=None, train=load_splits(config, task)["train"])
    explainer = explain(Trained(task, made.preprocessor, made.model))
    lines = list(explainer.explain([{"input": "goal of the team"}], create("integrated_gradients")))
    assert lines[0]["written"] == "".join(line["label"] for line in lines) and len(lines) > 1
    for line in lines:
        assert line["written"][line["start"] : line["end"]] == line["label"] and line["completeness_gap"] < 0.01
        for word in line["words"]:
            later = word["input"] == "written" and word["start"] >= line["end"]
            assert not later or word["score"] is None
        assert all(word["score"] is not None for word in line["words"] if word["input"] == explainer.inputs[0])
    (asked,) = explainer.ask([{"input": "goal of the team"}])
    second, features = asked[1].question, asked[1].question.features
    if kind == "outputs":
        sides = {"encoder": features["written"] == 0, "decoder": features["written"] == 1}
        features = {
            f"{side}_{name}": features[name][mask]
            for side, mask in sides.items()
            for name in ("token_ids", "padding_mask")
        }
    logits, token = made.model({name: value[None] for name, value in features.items()}), second.index[0, 1]
    assert lines[1]["value"] == pytest.approx(float(logits[0, -1, token]), abs=1e-5)
    assert any(abs(word["score"]) > 0 for word in lines[0]["words"] if word["score"] is not None)
    with pytest.raises(UserError, match="this model writes texts"):
        explainer.ask([{"input": "goal"}], label="x")


def test_a_run_explains_by_the_program_and_in_python(trained_project, capsys):
    (trained_project / "texts.txt").write_text("goal match\nbank stock price\n", encoding="utf-8")
    assert program.main(["runs/tiny", "--input", "texts.txt", "--contrast"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["row"], line["label"], line["contrast"]) for line in lines] == [
        (0, "sport", "money"),
        (1, "money", "sport"),
    ]
    assert [word["text"] for word in lines[1]["words"]] == ["bank", "stock", "price"]
    assert sum(word["score"] for word in lines[1]["words"]) > 0 and lines[0]["completeness_gap"] < 0.01
    predictor = load("runs/tiny")
    (same,) = predictor.explain(["bank stock price"], contrast="")
    assert [word["score"] for word in same["words"]] == pytest.approx([word["score"] for word in lines[1]["words"]])
    for arguments, line in (
        (["--label", "spot"], "--label spot: the model has no logit of that name; there are: money, sport"),
        (["--points", "0"], "--points: 0 is too few"),
    ):
        assert program.main(["runs/tiny", "--input", "texts.txt", *arguments]) == 2
        assert line in capsys.readouterr().err
    assert program.main(["saved_models/tiny", "--input", "texts.txt"]) == 2
    assert "an export has no gradients beside those of export.explain, and this one has none" in capsys.readouterr().err
    with pytest.raises(UserError, match="signature's explanations alone"):
        load("saved_models/tiny").explain(["goal"])
