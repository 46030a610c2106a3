"""Text embedding by the contract: rows, targets, features, and one step under every strategy."""

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from support.rarely import rarely

from kerasft.config.schema import Config
from kerasft.data.batching.dataset import distribute
from kerasft.data.batching.epochs import Epochs
from kerasft.data.prepared.groups import GroupedPrepared
from kerasft.data.sources.sources import Record
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.evaluation.evaluate import Evaluator
from kerasft.models.presets.presets import load_backbone, load_tokenizer
from kerasft.tasks.base.columns import text_identity
from kerasft.tasks.registry import create_task
from kerasft.training.objectives.task_loss import TaskLoss
from kerasft.training.optimizer import create_optimizer
from kerasft.training.step import StepPlan, make_train_step

PAIR = {"text": "a", "text_pair": "b"}


def config(columns=None, task=None, **training) -> Config:
    return Config.model_validate(
        {
            "name": "t",
            "task": {"name": "text_embedding", **(task or {})},
            "model": {"preset": "x", "max_length": 8},
            "data": {"train": "x", "columns": columns or PAIR},
            "training": {"batch_size": 8, "optimizer": {"learning_rate": 1e-2, "warmup": 0}, **training},
        }
    )


SCORED, TRIPLET = {**PAIR, "label": "s"}, {**PAIR, "text_negative": "c"}


@pytest.mark.parametrize(
    ("columns", "task", "training", "expected"),
    [
        (SCORED, {"objective": "contrastive"}, {}, "task.objective: contrastive .* use cosent or cosine"),
        (PAIR, {"objective": "cosent"}, {}, "task.objective: cosent needs scores; name .* data.columns.label"),
        ({**SCORED, **TRIPLET}, {}, {}, "data.columns: label and text_negative"),
        (PAIR, {}, {"gradient_accumulation": 2}, "training.gradient_accumulation: 2, but contrastive .* set it to 1"),
        (PAIR, {}, {"parallel_microbatches": 2}, "training.parallel_microbatches: 2, but contrastive .* set it to 1"),
        (PAIR, {}, {"batch_size": 1}, "training.batch_size: contrastive .* use 2 or more"),
        (PAIR, {}, {"label_smoothing": 0.1}, "training.class_weights and training.label_smoothing"),
        (
            PAIR,
            {},
            {"early_stopping": {"metric": "spearman"}},
            "'spearman' is not measured; there are: mrr, recall_at_1",
        ),
    ],
)
def test_keys_that_contradict_each_other(columns, task, training, expected):
    with pytest.raises(UserError, match=expected):
        create_task(config(columns, task, **training)).check_config()


def test_scored_pairs_may_be_accumulated_where_each_has_its_own_loss():
    create_task(
        config(SCORED, {"objective": "cosine"}, gradient_accumulation=2, parallel_microbatches=2)
    ).check_config()


@pytest.mark.parametrize(
    ("columns", "values", "expected"),
    [
        (PAIR, {"a": "x", "b": None}, "f:3: column 'b' is None; a text is needed"),
        (
            SCORED,
            {"a": "x", "b": "y", "s": "much"},
            "f:3: column 's' is 'much'; the score of a pair is a finite number",
        ),
        (SCORED, {"a": "x", "b": "y", "s": True}, "f:3: column 's' is True"),
        (TRIPLET, {"a": "x", "b": "y", "c": "y"}, "f:3: column 'c' is the text that belongs to this one"),
        (PAIR, {"a": "x"}, "data.columns.text_pair: no column 'b' at f:3"),
    ],
)
def test_bad_rows_name_their_place(columns, values, expected):
    with pytest.raises(UserError, match=expected):
        create_task(config(columns)).parse(Record(values, "f:3"))


def test_scores_that_are_all_alike_teach_nothing():
    task = create_task(config(SCORED))
    rows = [{"text": "a", "text_pair": "b", "label": 2.0, "where": "f:1"}] * 3
    with pytest.raises(UserError, match="every pair has the score 2; there is nothing to learn"):
        task.fit({"train": Table.from_rows(rows, task.schema())})


def test_which_column_is_asked_and_which_is_searched():
    task = create_task(config())
    assert task.parse_inputs(Record({"a": "x", "b": "y"}, "f:1")) == {"text": "x"}
    assert task.parse_inputs(Record({"text": "x"}, "f:1")) == {"text": "x"}
    assert task.parse_passage(Record({"a": "x", "b": "y"}, "f:1")) == "y"
    assert task.parse_passage(Record({"text": "x"}, "f:1")) == "x"
    with pytest.raises(UserError, match="no column 'a'"):
        task.parse_inputs(Record({"other": "x"}, "f:1"))


WORDS = "goal match team score coach bank market stock price trade".split()


def triplets(rows: int, seed: int = 0) -> list[dict]:
    random = np.random.default_rng(seed)

    def text() -> str:
        return " ".join(random.choice(WORDS, random.integers(1, 10)))

    return [{"text": text(), "text_pair": text(), "text_negative": text(), "where": f"f:{i}"} for i in range(rows)]


def parts(task, tiny_preset, rows):
    backbone = load_backbone(str(tiny_preset), dropout=0.0)
    preprocessor = task.preprocessor(backbone, load_tokenizer(str(tiny_preset)))
    table = Table.from_rows(rows, task.schema())
    return backbone, preprocessor, task.prepare(table, preprocessor)


def test_each_text_of_an_example_is_tokenized_by_itself(tiny_preset):
    task = create_task(config(TRIPLET))
    rows = triplets(21)
    _, preprocessor, prepared = parts(task, tiny_preset, rows)
    assert len(prepared) == 21 and prepared.group == 3
    chosen = np.array([4, 20, 0, -1])
    features, targets, weights = prepared.batch(chosen)
    assert weights.tolist() == [1, 1, 1, 0]
    assert prepared.batch(chosen, static=True)[0]["token_ids"].shape == (4, 3, 8)
    total = 0
    for place, row in enumerate(chosen[:3]):
        for number, name in enumerate(task.texts):
            alone = preprocessor({"text": [rows[row][name]]})
            length = alone["token_ids"].shape[1]
            for key, values in alone.items():
                np.testing.assert_array_equal(features[key][place, number, :length], values[0])
                assert not features[key][place, number, length:].any()
            assert targets[place, number] == text_identity(rows[row][name])
            total += length
    assert prepared.lengths[chosen[:3]].sum() == total
    assert prepared.full_lengths.shape == (63,) and prepared.full_lengths.max() > 8  # of texts, before they are cut


def test_evaluation_puts_vectors_in_the_order_of_the_rows(tiny_preset, mirrored):
    task = create_task(config(TRIPLET))
    rows = triplets(11)
    with mirrored.scope():
        backbone, preprocessor, prepared = parts(task, tiny_preset, rows)
        model = task.build(backbone)
    vectors = Evaluator(model, mirrored, 4).logits(prepared)
    assert vectors.shape == (11, 3, 16)
    for row in (0, 7, 10):
        features = preprocessor({"text": [rows[row][name] for name in task.texts]})
        np.testing.assert_allclose(vectors[row], model(features), atol=1e-5)


def trained(prepared: GroupedPrepared, task, strategy, tiny_preset, steps=5):
    """Losses and weights after some steps; the third batch has 5 rows of 8, which no two replicas share evenly."""
    keras.utils.set_random_seed(1)
    accumulation = task.config.training.gradient_accumulation
    with strategy.scope():
        model = task.build(load_backbone(str(tiny_preset), dropout=0.0))
        optimizer = create_optimizer(task.config.training, steps, model, {})
    step = tf.function(
        make_train_step(StepPlan(model, TaskLoss(model, task), optimizer, strategy, accumulation)), autograph=False
    )
    plan = lambda: Epochs(prepared.lengths, 8, "pad", 0).from_step(0)  # noqa: E731
    dataset = distribute(prepared, plan, strategy, accumulation)
    losses = [float(step(batch)) for batch, _ in zip(dataset, range(steps))]
    return losses, model.get_weights()


@pytest.mark.parametrize("objective", ["contrastive", *rarely("cosent", "cosine")])
def test_negatives_come_from_the_global_batch(tiny_preset, mirrored, objective):
    """Two replicas do what one does: an example is compared with those of the other replica as well."""
    scored = objective != "contrastive"
    task = create_task(config(SCORED if scored else TRIPLET, {"objective": objective}), {"lowest": 0.0, "highest": 2.0})
    rows = [{**row, "label": float(i % 3)} for i, row in enumerate(triplets(21))]
    _, _, prepared = parts(task, tiny_preset, rows)
    one = trained(prepared, task, tf.distribute.OneDeviceStrategy("/cpu:0"), tiny_preset)
    two = trained(prepared, task, mirrored, tiny_preset)
    np.testing.assert_allclose(one[0], two[0], rtol=1e-4)
    for a, b in zip(one[1], two[1]):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert min(one[0][3:]) < one[0][0]
    # the first loss, of one batch of 8, from the definition
    model = task.build(load_backbone(str(tiny_preset), dropout=0.0))
    features, targets, _ = prepared.batch(next(Epochs(prepared.lengths, 8, "pad", 0).from_step(0)))
    assert one[0][0] == pytest.approx(float(np.mean(task.loss(tf.constant(targets), model(features)))), rel=1e-5)


def test_accumulated_parts_of_scored_pairs_are_the_whole(tiny_preset):
    device = tf.distribute.OneDeviceStrategy("/cpu:0")
    found = []
    for accumulation in (1, 2):
        task = create_task(
            config(SCORED, {"objective": "cosine"}, gradient_accumulation=accumulation), {"lowest": 0.0, "highest": 2.0}
        )
        rows = [{**row, "label": float(i % 3)} for i, row in enumerate(triplets(21))]
        found.append(trained(parts(task, tiny_preset, rows)[2], task, device, tiny_preset, steps=3))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    for a, b in zip(found[0][1], found[1][1]):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_schema_has_the_columns_of_the_config():
    assert create_task(config(TRIPLET)).schema().names == ["text", "text_pair", "text_negative", "where"]
    assert create_task(config(SCORED)).schema().field("label").type == pa.float64()
