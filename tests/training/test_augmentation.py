"""A training on rows that are changed for each epoch: the same bits after a stop, and none at all without strength."""

import itertools
import json
import signal
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.task_rows import TASKS, configured, settings  # noqa: F401

from kerasft import augment, train
from kerasft.assembly import assemble
from kerasft.config.schema import Config
from kerasft.data.augmentation.noise import with_typos
from kerasft.data.augmentation.registry import create_augmenters
from kerasft.data.augmentation.variants import RowAugmenter, copied_rows, count_variants, make_variants
from kerasft.data.batching.dataset import distribute
from kerasft.data.batching.epochs import Epochs
from kerasft.data.splits import load_splits
from kerasft.tasks.registry import create_task
from kerasft.training.augmentation import augmented
from kerasft.training.trainer import Trainer

ALL_METHODS = {name: {} for name in ("typos", "case", "punctuation", "delete", "swap")}
KINDS = ("a label of a pair", "several labels", "a number", "tags", "a relation", "answers", "pairs among others")


def with_augment(config: Config, **section) -> Config:
    return Config.model_validate(config.model_dump() | {"augment": {**ALL_METHODS, **section}})


def made(config: Config):
    task = create_task(config)
    train_rows = load_splits(config, task)["train"]
    rows = RowAugmenter(create_augmenters(config.augment, task), task, config.seed)
    return task, train_rows, make_variants(train_rows, config, rows)


@pytest.mark.parametrize("name", KINDS)
def test_rows_of_every_task_keep_what_they_say(settings, name):  # noqa: F811
    config = with_augment(settings(*TASKS[name]), rows=1.0, variants=3)
    task, plain, variants = made(config)
    assert len(variants.epochs) == 3 and sum(variants.counts.values()) > 30
    assert variants.table.schema == plain.schema
    every = variants.table.rows(range(len(variants.table)))
    for row, number in zip(every, variants.source):
        (before,) = plain.rows([number])
        assert {key: row[key] for key in ("label", "where", "id") if key in row} == {
            key: before[key] for key in ("label", "where", "id") if key in row
        }
        for text in task.marked_texts(before):
            one, other = task.marked_texts(before)[text], task.marked_texts(row)[text]
            mentions = [[marked.mention(span).lower() for span in marked.spans] for marked in (one, other)]
            assert mentions[0] == mentions[1]
    assert all(set(variants.source[rows]) == set(range(len(plain))) for rows in variants.epochs)


def test_a_row_is_changed_by_seed_epoch_and_place_alone(settings):  # noqa: F811
    config = with_augment(settings(*TASKS["a label"]), variants=2)
    _, plain, first = made(config)
    _, _, again = made(config)
    assert first.table.fingerprint() == again.table.fingerprint()
    _, _, longer = made(with_augment(config, variants=3))
    assert longer.table.rows(range(len(first.table))) == first.table.rows(range(len(first.table)))
    _, _, other = made(config.model_copy(update={"seed": 1}))
    assert other.table.fingerprint() != first.table.fingerprint()
    texts = [first.table.select(rows).column("text") for rows in first.epochs]
    assert texts[0] != texts[1] != plain.column("text")


@pytest.mark.parametrize(
    "training, count", [({"epochs": 2.5}, 3), ({"epochs": 20}, 8), ({"epochs": None, "steps": 6}, 3)]
)
def test_there_is_a_form_for_each_epoch(settings, training, count):  # noqa: F811
    assert count_variants(with_augment(settings(**training)), 21) == count


def test_epochs_of_other_rows_and_lengths():
    lengths, members = np.arange(1, 31), [np.arange(12), np.arange(12, 30), np.arange(7)]
    epochs = Epochs(lengths, 4, "bucket", 3, members=members)
    assert [epochs.steps(epoch) for epoch in range(5)] == [3, 5, 2, 3, 5]
    assert epochs.steps_of(3.5) == 12 and epochs.end_after(4) == 8
    for epoch in range(4):
        assert sorted(np.concatenate(epochs.batches(epoch))) == sorted(members[epoch % 3])
    whole = list(itertools.islice(epochs.from_step(0), 20))
    for first in range(14):
        for late, early in zip(epochs.from_step(first), whole[first : first + 3]):
            np.testing.assert_array_equal(late, early)


def run(config: dict, *arguments: str) -> int:
    Path("config.yaml").write_text(json.dumps(config))  # JSON is YAML
    return train.main(["config.yaml", *arguments])


def figures(name: str) -> dict:
    return json.loads(Path(f"runs/{name}/metrics.json").read_text())


def small(config: Config, **section) -> dict:
    values = with_augment(config, rows=0.7, **section).model_dump(mode="json")
    values["training"]["optimizer"]["learning_rate"] = 0.1
    values["model"]["dropout"], values["export"]["enabled"] = 0.1, False
    return values


@pytest.mark.long
def test_a_run_that_was_stopped_ends_with_the_same_bits(configured, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    config = small(configured("a label", "pack", batch_size=4, epochs=None, steps=14), mixup={})
    assert run(config, "name=whole") == 0, capsys.readouterr().err
    assert "augment: " in capsys.readouterr().err
    loop, calls = Trainer.train, itertools.count()

    def interrupted(trainer, steps):
        if next(calls) == 8:  # within the second epoch of 21 rows
            signal.raise_signal(signal.SIGINT)
        return loop(trainer, steps)

    monkeypatch.setattr(Trainer, "train", interrupted)
    assert run(config, "name=broken") == 130
    assert run(config, "name=broken", "--resume") == 0, capsys.readouterr().err
    whole, broken = figures("whole"), figures("broken")
    assert whole["training"]["sha256"] == broken["training"]["sha256"]
    assert whole["validation"] == broken["validation"]
    assert sum(whole["training"]["augment"]["rows"].values()) > 21
    assert run({**config, "augment": None}, "name=plain") == 0
    assert run({**config, "augment": config["augment"] | {"rows": 0.0, "mixup": None}}, "name=weak") == 0
    plain, weak = figures("plain"), figures("weak")
    assert plain["training"]["sha256"] == weak["training"]["sha256"] != whole["training"]["sha256"]


@pytest.mark.parametrize("name", ["tags", "pairs among others"])
def test_an_epoch_has_the_tokens_of_its_rows(settings, name, tiny_preset):  # noqa: F811
    """A changed text may have more windows than the text that it was: epochs have more or fewer rows."""
    config = with_augment(settings(*TASKS[name]), rows=0.7, variants=3, typos={"words": 1.0})
    model = config.model.model_copy(update={"max_length": 12 if name == "tags" else 24})
    config = config.model_copy(update={"model": model})
    task, table, variants = made(config)
    preprocessor = assemble(config, task, preset=str(tiny_preset)).preprocessor
    plain = task.prepare(table, preprocessor, weighted=True)
    split, figures, lines = augmented(config, task, table, plain, lambda _, rows: task.prepare(rows, preprocessor))
    assert figures["augment"]["rows"] == variants.counts and str(variants) in lines[-1]
    for rows, members in zip(split.epochs, variants.epochs, strict=True):
        alone = task.prepare(variants.table.select(members), preprocessor)
        one, other = split.batch(rows), alone.batch(np.arange(len(alone)))
        assert one[0].keys() == other[0].keys()
        for feature in one[0]:
            np.testing.assert_array_equal(one[0][feature], other[0][feature])
        if split.token_targets:
            np.testing.assert_array_equal(one[1], other[1])
        else:  # two rows with one text are the same for a loss that compares them, however they were changed
            np.testing.assert_array_equal(one[1], plain.targets[variants.source[members]])
    assert name == "pairs among others" or len({*map(len, split.epochs)}) > 1


def test_two_devices_learn_from_the_rows_that_one_learns_from(settings, tiny_preset):  # noqa: F811
    config = with_augment(settings(*TASKS["a label"]), rows=1.0, variants=2)
    task, table, _ = made(config)
    preprocessor = assemble(config, task, preset=str(tiny_preset)).preprocessor
    plain = task.prepare(table, preprocessor)
    split, _, _ = augmented(config, task, table, plain, lambda _, rows: task.prepare(rows, preprocessor))
    devices = {1: tf.distribute.OneDeviceStrategy("/cpu:0"), 2: tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])}
    learnt = {}
    for count, strategy in devices.items():
        rows = list(itertools.islice(Epochs(split.tokens, 8, "bucket", 3, members=split.epochs).from_step(0), 6))
        batches = distribute(split, rows.copy, strategy, first_step=0)
        steps = [strategy.experimental_local_results(batch) for batch in itertools.islice(batches, 6)]
        if count == 1:
            steps = [(step,) if isinstance(step[0], dict) else step for step in steps]
        learnt[count] = [sorted(row for share in step for row in _rows_of(share)) for step in steps]
    assert learnt[1] == learnt[2] and len({row for step in learnt[1] for row in step}) > 21  # forms of two epochs


def _rows_of(share) -> list[tuple[int, ...]]:
    """The tokens of each row that counts, without padding."""
    features, _, weights = share
    ids = next(values for name, values in features.items() if "token_ids" in name).numpy()
    return [tuple(int(id) for id in row if id) for row, weight in zip(ids, weights.numpy()) if weight]


def test_rows_are_shown_as_the_training_has_them(settings, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    config = with_augment(settings(*TASKS["tags"]), rows=1.0)
    Path("config.yaml").write_text(json.dumps(config.model_dump(mode="json")))
    assert augment.main(["config.yaml", "--show", "5", "--json"]) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(shown) == 5
    task, _, variants = made(config)
    rows = {row["where"]: row for row in variants.table.select(variants.epochs[0]).rows(range(21))}
    for pair in shown:
        (text,) = task.marked_texts(rows[pair["where"]]).values()
        assert augment.marked(text) == pair["after"]["text"] != pair["before"]["text"]
    assert augment.main(["config.yaml", "augment=null"]) == 2
    assert "augment: config.yaml has no such section" in capsys.readouterr().err


@pytest.mark.parametrize(
    "section, words",
    [
        ({}, "no method is named; name one of typos"),
        ({"typo": {}}, "typos"),
        ({"typos": {"words": 0}}, "augment.typos.words"),
    ],
)
def test_a_section_that_asks_for_nothing(settings, section, words, tmp_path, capsys):  # noqa: F811
    config = settings().model_dump(mode="json") | {"augment": section}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    assert train.main([str(tmp_path / "config.yaml")]) == 2
    assert words in capsys.readouterr().err


def test_texts_that_fill_rows_together_are_refused(settings, tmp_path, capsys):  # noqa: F811
    config = with_augment(settings(*TASKS["hidden tokens"])).model_dump(mode="json")
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    assert train.main([str(tmp_path / "config.yaml")]) == 2
    assert "augment: not for masked_lm" in capsys.readouterr().err


@pytest.mark.parametrize("balance, counts", [(1.0, [8, 8, 8]), (0.5, [8, 4, 4]), (0.7, [8, 6, 6]), (None, [8, 3, 1])])
def test_each_class_has_the_share_that_is_asked_for(balance, counts):
    groups = np.array([0] * 8 + [1] * 3 + [2])
    rows = copied_rows(groups, balance, [0])
    assert np.bincount(groups[rows]).tolist() == counts
    times = np.bincount(rows, minlength=12)
    for group in range(3):
        assert np.ptp(times[groups == group]) <= 1
    assert np.array_equal(rows, copied_rows(groups, balance, [0]))


def test_copies_of_rare_classes_are_changed_and_differ(settings, tmp_path):  # noqa: F811
    config = settings()
    rows = [json.loads(line) for line in Path(config.data.train).read_text().splitlines()]
    kept = [row for number, row in enumerate(rows) if row["label"] == "sport" or number < 4]
    Path(config.data.train).write_text("".join(json.dumps(row) + "\n" for row in kept))
    _, plain, variants = made(with_augment(config, rows=0.0, balance=1.0, variants=1))
    (members,) = variants.epochs
    labels = variants.table.select(members).column("label")
    assert labels.count("sport") == labels.count("money") == 11
    texts = [text for text, label in zip(variants.table.select(members).column("text"), labels) if label == "money"]
    assert len(set(texts)) > 7 and len(plain) == 13  # of three words two draws may be alike
    assert list(members[:13]) == list(range(13))  # rows themselves stay


@pytest.mark.parametrize(
    "name, section, training, words",
    [
        ("tags", {"balance": 0.5}, {}, "augment.balance: not for token_classification"),
        ("a label", {"balance": 0.5}, {"class_weights": "balanced"}, "count twice"),
        ("tags", {"mixup": {}}, {}, "augment.mixup: not for token_classification"),
        (
            "a label",
            {"mixup": {}},
            {"objective": {"name": "focal"}},
            "not together with training.objective",
        ),
        ("a label", {"mentions": {}}, {}, "augment.mentions: not for text_classification"),
        ("a label", {"synonyms": {"source": "none.txt"}}, {}, "augment.synonyms.source: none.txt is not there"),
    ],
)
def test_what_a_task_has_no_use_for_is_refused(settings, name, section, training, words, tmp_path, capsys):  # noqa: F811
    config = with_augment(settings(*TASKS[name], **training), **section).model_dump(mode="json")
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    assert train.main([str(tmp_path / "config.yaml")]) == 2
    assert words in capsys.readouterr().err


def test_what_an_augmentation_brought_is_measured(configured, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    config = small(configured("a label", "bucket", batch_size=8, epochs=2), measure=True)
    config["data"]["test"] = config["data"]["train"]
    assert run(config, "name=gain") == 0, capsys.readouterr().err
    assert "accuracy on test with typing errors in 10% of the longer words" in capsys.readouterr().out
    gain = json.loads(Path("runs/gain/augmentation.json").read_text())
    assert gain["with"]["clean"] == figures("gain")["test"]["accuracy"]
    assert gain["without"]["clean"] == figures("gain-without-augment")["test"]["accuracy"]
    for test in ("clean", "noisy"):
        apart = gain["difference"][test]
        assert apart["value"] == gain["with"][test] - gain["without"][test]
        assert apart["low"] <= apart["value"] <= apart["high"]
    assert run(config, "name=gain") == 2  # before anything is trained again
    assert run(config, "name=gain", "--resume") == 0  # both are finished: measured again
    assert json.loads(Path("runs/gain/augmentation.json").read_text()) == gain


def test_the_noisy_test_is_the_same_each_time_and_keeps_its_answers(settings):  # noqa: F811
    config = settings(*TASKS["tags"])
    task = create_task(config)
    table = load_splits(config, task)["validation"]
    one, other = with_typos(table, task, 0.5), with_typos(table, task, 0.5)
    assert one.fingerprint() == other.fingerprint() != table.fingerprint()
    assert one.column("label") == table.column("label")
    assert with_typos(table, task, 1e-9).fingerprint() == table.fingerprint()
