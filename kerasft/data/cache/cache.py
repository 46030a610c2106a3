"""A cache of prepared splits (`data.cache`): found by all that features are made from, whole or not there at all."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import secrets
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import kerasft
from kerasft.data.cache.shards import PART, Damaged, Form, Shard, read_arrays, write_arrays
from kerasft.data.prepared.groups import GroupedPrepared
from kerasft.data.prepared.inputs_outputs import InputsOutputs
from kerasft.data.prepared.masked_rows import MaskedRows
from kerasft.data.prepared.masking import Masking
from kerasft.data.prepared.next_tokens import NextTokens
from kerasft.data.prepared.prepared import Prepared
from kerasft.data.prepared.questions import PreparedQuestions
from kerasft.data.prepared.spans import Spans
from kerasft.data.prepared.token_windows import PreparedWindows
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.versions import version

INDEX = "features.json"  # written last: without it a folder holds nothing
WHERE = "where"  # the column that says where a row was read, which is no part of it
_PACKAGES = ("tensorflow", "tensorflow-text", "keras-hub")
_KINDS = {
    kind.__name__: kind
    for kind in (
        Prepared, GroupedPrepared, PreparedWindows, PreparedQuestions, NextTokens, InputsOutputs, MaskedRows, Masking,
        Spans,
    )
}  # fmt: skip


class FeatureCache:
    """Prepared splits in a folder, each in a folder of its own that is named by what it was made from.

    Args:
        folder: local or a URL such as gs://BUCKET/FOLDER; is made if need be.

    Attributes:
        read, made: names of the splits that were found, and of those that were made and kept.
        bytes: of the features of both.
        damaged: files that were not what was written, and were made anew.
    """

    def __init__(self, folder: str):
        self.folder = os.path.expanduser(folder).rstrip("/")
        self.read: list[str] = []
        self.computed: list[str] = []
        self.damaged: list[str] = []
        self.bytes = 0

    def prepared(
        self, split: str, table: Table, settings: Mapping[str, Any], prepare: Callable[[], Prepared]
    ) -> Prepared:
        """A split as it was kept, or as it is made now and kept for later.

        Args:
            split: such as `train`; for what is told, and no part of the key.
            table: its rows.
            settings: JSON-able, all that `prepare` reads beside the table, the tokenizer included.
            prepare: makes the split.

        Raises:
            UserError: the folder can't be read or written.
        """
        sources = {"rows": table.fingerprint(without=(WHERE,)), "settings": settings, "code": code()}
        key = hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()
        folder = f"{self.folder}/{key[:40]}"
        with self._errors_of_folder():
            prepared = self._load(folder, table)
        if prepared is not None:
            self.read.append(split)
            return prepared
        prepared = prepare()
        with self._errors_of_folder():
            self._keep(folder, prepared)
        self.computed.append(split)
        return prepared

    def lines(self) -> Iterator[str]:
        """What a user is told."""
        for file in self.damaged:
            yield f"data.cache: {file} is damaged or gone; its split was tokenized again"
        size = f"{self.bytes / 1e6:,.1f} MB"
        parts = [
            f"{', '.join(splits)} {verb}" for splits, verb in ((self.read, "read"), (self.computed, "made")) if splits
        ]
        yield f"data.cache: features of {', '.join(parts)}: {size} in {self.folder}"

    def figures(self) -> dict[str, Any]:
        """What `metrics.json` says of it."""
        return {"dir": self.folder, "read": self.read, "made": self.computed, "bytes": self.bytes}

    def _load(self, folder: str, table: Table) -> Prepared | None:
        index = f"{folder}/{INDEX}"
        try:
            with tf.io.gfile.GFile(index, "rb") as file:
                content = file.read()
        except tf.errors.NotFoundError:
            return None
        try:
            content_index = _checked_index(content)
            shards = [Shard(*shard) for shard in content_index["shards"]]
            forms = [Form(dtype, tuple(shape), alike) for dtype, shape, alike in content_index["arrays"]]
            arrays = read_arrays(folder, shards, forms)
        except Damaged as error:
            self.damaged.append(f"{folder}/{error}")
            return None
        self.bytes += sum(shard.bytes for shard in shards)
        return _built(content_index["split"], arrays, table)

    def _keep(self, folder: str, split: Prepared) -> None:
        arrays: list[np.ndarray] = []
        described = _described(split, arrays)
        tf.io.gfile.makedirs(folder)
        shards = write_arrays(folder, arrays)
        content = json.dumps({"split": described, "arrays": [Form.of(array) for array in arrays], "shards": shards})
        part = f"{folder}/{PART}{secrets.token_hex(8)}"
        with tf.io.gfile.GFile(part, "w") as file:
            file.write(json.dumps({"sha256": hashlib.sha256(content.encode()).hexdigest(), "told": content}))
        tf.io.gfile.rename(part, f"{folder}/{INDEX}", overwrite=True)
        self.bytes += sum(shard.bytes for shard in shards)

    @contextlib.contextmanager
    def _errors_of_folder(self) -> Iterator[None]:
        try:
            yield
        except (tf.errors.OpError, OSError) as error:
            reason = str(getattr(error, "message", error)).split("\n")[0]
            raise UserError(
                f"data.cache: {self.folder}: {reason}; name a folder that can be written, or null"
            ) from error


@functools.cache
def code() -> dict[str, str]:
    """Of everything that turns a row into features: kerasft's own source, so that no change of it is forgotten."""
    root, whole = Path(kerasft.__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        whole.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    digests = {"kerasft": whole.hexdigest(), "unicode": unicodedata.unidata_version}
    return digests | {package: version(package) for package in _PACKAGES}


def _checked_index(content: bytes) -> dict[str, Any]:
    try:
        outer = json.loads(content)
        if hashlib.sha256(outer["told"].encode()).hexdigest() == outer["sha256"]:
            return json.loads(outer["told"])
    except (ValueError, KeyError, TypeError):
        pass
    raise Damaged(INDEX)


def _described(value: Any, arrays: list[np.ndarray]) -> Any:
    """A value as JSON, with numbers for its arrays, which are appended to `arrays`."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    kind = type(value).__name__
    if _KINDS.get(kind) is type(value):
        fields = getattr(value, "_fields", None) or value.__dataclass_fields__
        return {"kind": kind, "fields": {name: _described(getattr(value, name), arrays) for name in fields}}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, Table):  # it is what the split is made from: whoever asks for the split has it
        return {"table": None}
    if isinstance(value, Mapping):
        return {"mapping": {name: _described(each, arrays) for name, each in value.items()}}
    raise TypeError(f"a {type(value).__name__} in a prepared split has no form in the cache")


def _built(described: Mapping[str, Any], arrays: Sequence[np.ndarray], table: Table) -> Any:
    """What `_described` was given."""
    if "array" in described:
        return arrays[described["array"]]
    if "table" in described:
        return table
    if "kind" in described:
        fields = {name: _built(each, arrays, table) for name, each in described["fields"].items()}
        return _KINDS[described["kind"]](**fields)
    if "mapping" in described:
        return {name: _built(each, arrays, table) for name, each in described["mapping"].items()}
    return described["value"]
