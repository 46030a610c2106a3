"""Splits that were kept come back bit for bit, without a tokenizer, or are made anew; never are they others."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.task_rows import ALL

from kerasft import train
from kerasft.assembly import assemble
from kerasft.config.schema import Config
from kerasft.data.cache import cache as cache_module
from kerasft.data.cache import shards
from kerasft.data.cache.cache import INDEX, FeatureCache
from kerasft.data.prepared import prepared as prepared_module
from kerasft.data.prepared.prepared import Prepared
from kerasft.data.splits import load_splits
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.models.tokenizers.digest import reader_digest
from kerasft.tasks.registry import create_task


class Made:
    """A task's training split, and what a cache is asked with."""

    def __init__(self, config: Config):
        self.config, self.task = config, create_task(config)
        self.tables = load_splits(config, self.task)
        built = assemble(config, self.task, train=self.tables["train"], preset=config.model.preset, load_weights=False)
        self.preprocessor = built.preprocessor
        self.settings = {**self.task.features_made_from(True), "reader": reader_digest(built.backbone, built.tokenizer)}

    def prepare(self) -> Prepared:
        return self.task.prepare(self.tables["train"], self.preprocessor, weighted=True)

    def through(self, folder, prepare=None) -> tuple[Prepared, FeatureCache]:
        cache = FeatureCache(str(folder))
        return cache.prepared("train", self.tables["train"], self.settings, prepare or self.prepare), cache


@pytest.fixture
def made(configured):
    return lambda name="a label": Made(configured(name))


def untouched():
    raise AssertionError("texts were tokenized")


def assert_same(one, other):
    """Every field of what is prepared, down to types and bits."""
    if isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape) and one.tobytes() == other.tobytes()
    elif isinstance(one, Table):
        assert one is other
    elif isinstance(one, tuple):
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
    elif isinstance(one, Mapping):
        assert list(one) == list(other)
        for name in one:
            assert_same(one[name], other[name])
    elif dataclasses.is_dataclass(one):
        assert type(one) is type(other)
        for field in dataclasses.fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name))
    else:
        assert one == other


@pytest.mark.parametrize("name", ALL)
def test_every_kind_of_split_comes_back_without_a_tokenizer(made, tmp_path, name, monkeypatch):
    monkeypatch.setattr(shards, "PIECE_BYTES", 64)  # so that an array has several records, and a split several shards
    monkeypatch.setattr(shards, "SHARD_RECORDS", 4)
    this = made(name)
    fresh, cache = this.through(tmp_path / "cache")
    assert cache.figures() == {"dir": str(tmp_path / "cache"), "read": [], "made": ["train"], "bytes": cache.bytes}
    kept, again = this.through(tmp_path / "cache", untouched)
    assert again.read == ["train"] and again.bytes == cache.bytes > 0
    assert_same(kept, fresh)
    rows = np.arange(len(fresh))
    assert_same(kept.at_step(3).batch(rows), fresh.at_step(3).batch(rows))


def entry(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def drop_a_record(path: Path) -> None:
    """The file stays a good one, with a record less."""
    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records[:-1]:
            writer.write(record)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = [("*.tfrecord", damage) for damage in (cut, flip, drop_a_record, Path.unlink)] + [(INDEX, cut), (INDEX, flip)]


def test_what_is_damaged_is_said_and_made_anew(made, tmp_path):
    this = made()
    fresh, _ = this.through(tmp_path / "cache")
    for name, damage in DAMAGES:
        damage(next(entry(tmp_path / "cache").glob(name)))
        fixed, cache = this.through(tmp_path / "cache")
        assert_same(fixed, fresh)
        assert cache.computed == ["train"] and len(cache.damaged) == 1
        assert "is damaged or gone" in next(cache.lines())
        assert this.through(tmp_path / "cache", untouched)[1].read == ["train"]


def test_a_run_that_was_killed_leaves_nothing_that_is_read(made, tmp_path, monkeypatch):
    this = made()

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache_module.json, "dumps", wrap(json.dumps, after=2, then=killed))
        with pytest.raises(KeyboardInterrupt):
            this.through(tmp_path / "cache")
    assert list(entry(tmp_path / "cache").glob("*.tfrecord"))  # it came as far as that
    part = entry(tmp_path / "cache") / f"{shards.PART}old"
    part.write_bytes(b"half")
    assert this.through(tmp_path / "cache")[1].computed == ["train"]
    assert part.exists()  # it may be another run's
    monkeypatch.setattr(shards, "FORGOTTEN_SECONDS", -1)
    (entry(tmp_path / "cache") / INDEX).unlink()
    assert this.through(tmp_path / "cache")[1].computed == ["train"] and not part.exists()


def wrap(function, after: int, then):
    calls = iter(range(after))
    return lambda *args, **keys: function(*args, **keys) if next(calls, None) is not None else then()


def test_two_runs_at_the_same_time_write_the_same(made, tmp_path):
    this = made()
    other = []

    def prepare():
        found = this.prepare()
        other.append(this.through(tmp_path / "cache")[0])  # begins later, ends sooner
        return found

    assert_same(this.through(tmp_path / "cache", prepare)[0], other[0])
    folder = entry(tmp_path / "cache")
    assert len(list(folder.iterdir())) == 2 and not list(folder.glob(f"{shards.PART}*"))
    assert_same(this.through(tmp_path / "cache", untouched)[0], other[0])


def test_on_cloud_storage(made, cloud_storage):
    this = made()
    fresh, _ = this.through("gs://bucket/features")
    assert_same(this.through("gs://bucket/features/", untouched)[0], fresh)
    (folder,) = tf.io.gfile.glob("gs://bucket/features/*")
    with tf.io.gfile.GFile(tf.io.gfile.glob(f"{folder}/*.tfrecord")[0], "w") as file:
        file.write("something else")
    fixed, cache = this.through("gs://bucket/features")
    assert cache.computed == ["train"] and cache.damaged
    assert_same(fixed, fresh)


def test_a_folder_that_can_not_be_written_is_named(made, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="data.cache: .*file.*; name a folder"):
        made().through(tmp_path / "file")


CHANGES = {
    "longer rows": {"model": {"max_length": 20}},
    "a weighted loss": {"training": {"class_weights": "balanced"}},
    "other labels": {"task": {"name": "text_classification", "labels": ["sport", "money"]}},
}


def test_another_setting_is_another_split(made, tmp_path):
    this = made()
    this.through(tmp_path / "cache")
    for changes in CHANGES.values():
        values = this.config.model_dump()
        for section, keys in changes.items():
            values[section] = values[section] | keys
        other = create_task(Config.model_validate(values))
        load_splits(other.config, other)
        asked = FeatureCache(str(tmp_path / "cache"))
        settings = this.settings | other.features_made_from(True)
        asked.prepared("train", this.tables["train"], settings, this.prepare)
        assert asked.computed == ["train"]
        assert this.task.features_made_from(False) != this.task.features_made_from(True)


def test_texts_count_and_their_place_does_not(made, tmp_path):
    this = made()
    this.through(tmp_path / "cache")
    source = Path(this.config.data.train)
    moved = source.rename(tmp_path / "moved.jsonl")
    values = this.config.model_dump() | {"name": "other", "seed": 7}
    values["data"] |= {"train": str(moved), "validation": str(moved)}
    values["training"] |= {"batch_size": 4, "epochs": 9}
    assert Made(Config.model_validate(values)).through(tmp_path / "cache", untouched)[1].read
    moved.write_text(moved.read_text().replace("goal", "gaol"))
    assert Made(Config.model_validate(values)).through(tmp_path / "cache")[1].computed


def test_a_run_from_the_cache_is_the_same_run(project, monkeypatch, capsys):
    project(rows=32, export={"enabled": False}, data={"cache": "kept", "test": None}, training={"epochs": 1})
    assert train.main(["config.yaml", "name=first"]) == 0
    said = capsys.readouterr()
    assert "data.cache: features of train, validation made" in said.out + said.err
    monkeypatch.setattr(prepared_module, "prepare", untouched)
    assert train.main(["config.yaml", "name=second"]) == 0
    said = capsys.readouterr()
    assert "data.cache: features of train, validation read" in said.out + said.err
    first, second = (json.loads(Path(f"runs/{name}/metrics.json").read_text()) for name in ("first", "second"))
    assert first["training"]["sha256"] == second["training"]["sha256"]
    assert first["validation"] == second["validation"]
    made, read = (each["training"]["data_cache"] for each in (first, second))
    assert made["made"] == read["read"] == ["train", "validation"] and made["bytes"] == read["bytes"] > 0


def test_a_cache_that_can_not_be_is_known_before_the_model_loads(project, capsys):
    project(data={"cache": "config.yaml"})
    assert train.main(["config.yaml"]) == 2
    assert "data.cache: config.yaml is a file; name a folder" in capsys.readouterr().err
