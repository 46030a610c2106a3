"""The reference of an export is what its servable answers to the rows that the run was validated on."""

import json

import numpy as np
import pytest
import tensorflow as tf
from support.rarely import rarely
from tiny_models import TASKS, export_tiny, make_task, make_tiny

from kerasft.data.tables.table import Table
from kerasft.evaluation.evaluate import Evaluator
from kerasft.serving.drift.measures import text_rows
from kerasft.serving.drift.reference import make_reference, read_reference
from kerasft.serving.server.loaded_model import LoadedModel
from kerasft.tasks.watched import watched_of

SENTENCES = ["goal match team", "the bank of zzz 世界", "", "stock price trade in a market"] * 5
ROWS = {
    "single_label": [{"text": text, "label": "sport"} for text in SENTENCES],
    "multi_label": [{"text": text, "label": ["sport"]} for text in SENTENCES],
    "regression": [{"text": text, "text_pair": "a goal", "label": 1.0} for text in SENTENCES],
    "token_classification": [
        dict.fromkeys(("word_starts", "word_ends", "starts", "ends", "label"), []) | {"text": text}
        for text in SENTENCES
    ],
    "question_answering": [
        {"id": None, "question": "who scored", "context": text, "starts": [], "ends": []} for text in SENTENCES
    ],
    "relation_extraction": [
        {"text": f"<e1>goal</e1> {text} <e2>bank</e2>", "label": "Other"} for text in SENTENCES
    ],
    "masked_lm": [{"text": text} for text in SENTENCES],
    "text_embedding": [{"text": text, "positive": "a goal"} for text in SENTENCES],
    "seq2seq": [{"input": text, "output": "a goal"} for text in SENTENCES],
}  # fmt: skip
KNOWS_ALL = {"seq2seq"}  # whose tokens are bytes
ANSWERS = {
    "regression": {"value"}, "masked_lm": set(), "text_embedding": set(), "seq2seq": set(),
}  # fmt: skip


def make_table(task, rows):
    names = task.schema().names
    return Table.from_rows([{name: row.get(name, "row") for name in names} for row in rows], task.schema())


ALWAYS = ("single_label", "question_answering", "text_embedding")  # of each kind of answer one


@pytest.mark.parametrize("name", [*ALWAYS, *rarely(*(name for name in TASKS if name not in ALWAYS))])
def test_a_reference_is_what_the_export_answers(tiny_preset, tmp_path, name):
    task, preprocessor, model = make_tiny(tiny_preset, name)
    table = make_table(task, ROWS[name])
    answers = ()
    if ANSWERS.get(name, True):  # of the others only the texts are watched
        prepared = task.prepare(table, preprocessor)
        answers = task.watched(prepared, Evaluator(model, tf.distribute.get_strategy(), 8).logits(prepared))
    made = json.loads(json.dumps(make_reference(task, preprocessor, table, answers)))
    assert made["rows"] == len(SENTENCES)
    reference = read_reference({"reference": made})
    texts = {"tokens"} if name in KNOWS_ALL else {"tokens", "unknown_share"}
    assert set(reference) == ANSWERS.get(name, {"label", "confidence"}) | texts

    served = LoadedModel(export_tiny(tiny_preset, name, tmp_path / "1"))
    columns = table.rows(np.arange(len(table)))
    inputs = {column: np.array([row[column].encode() for row in columns], object) for column in task.inputs}
    outputs = served.run("serving_default", inputs)
    inside = task.answer(model, preprocessor({column: tf.constant(texts) for column, texts in inputs.items()}))
    for output, values in inside.items():
        if values.dtype == tf.string:
            np.testing.assert_array_equal(outputs[output], values)
        else:
            np.testing.assert_allclose(outputs[output], values, atol=1e-4)
    watched = watched_of(task.config.task.name)
    rows = watched.answers(outputs, task.state.get("labels")) | text_rows(served.run("tokens", inputs))
    for measure, found in reference.items():
        places = [place for row in found.bins.indices(rows[measure]) for place in row]
        counts = np.bincount(places, minlength=len(found.bins))
        if measure in ("label", "tokens", "unknown_share"):
            assert tuple(counts.tolist()) == found.counts, measure
        else:  # batches of other widths differ in the last digits
            assert np.abs(counts - np.array(found.counts)).sum() <= 4, measure
    assert name in KNOWS_ALL or sum(reference["unknown_share"].counts[1:]) >= 5  # the Chinese words
    served.close()


def test_an_export_of_before_has_none():
    assert read_reference({}) == read_reference({"reference": None}) == {}


@pytest.mark.parametrize(
    "measures",
    [{"label": {"labels": ["a"], "counts": [1], "rows": 1}}, {"label": 7}, {"label": {"counts": ["x"]}}, ["label"]],
)
def test_a_reference_that_is_none_is_named(measures):
    with pytest.raises(ValueError, match="reference"):
        read_reference({"reference": {"measures": measures}})


def test_a_corpus_without_prompts_has_no_texts_to_compare(tiny_preset):
    task = make_task("single_label", tiny_preset)
    table = Table.from_rows([{"where": "x:1"}], task.schema().remove(0).remove(0))
    assert make_reference(task, None, table, ())["measures"] == {}
