"""Rows of a TensorFlow Datasets data set: `tfds:NAME[/CONFIG][:VERSION][:SPLIT]`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kerasft.data.sources.reading import Reading, Row
from kerasft.errors import UserError

FORM = "tfds:NAME[/CONFIG][:VERSION][:SPLIT]"
SPEC = re.compile(r"tfds:(?P<builder>\w+(/[\w.+-]+)?(:\d+\.[\d*]+\.[\d*]+)?)(:(?P<split>.+))?")


def read_tfds(spec: str, reading: Reading) -> Iterator[Row]:
    """Prepares the data set where it is not, and reads one split (default: train) in its own order.

    Class indices become class names, bytes become text, tensors become numbers or lists. The place of an example is
    its number, from 1.

    Raises:
        UserError: the spec is malformed, there is no such data set or split, it can't be downloaded, it holds bytes
            that are not UTF-8, or an example is larger than a row may be.
    """
    match = SPEC.fullmatch(spec)
    if match is None:
        raise UserError(f"{spec}: malformed; write {FORM}")
    import tensorflow_datasets as tfds

    downloads = tfds.core.download
    missing = (tfds.core.DatasetNotFoundError, ValueError, AssertionError)
    broken = (downloads.util.DownloadError, downloads.download_manager.NonMatchingChecksumError, OSError)
    split = match["split"] or "train"
    try:
        dataset, info = tfds.load(match["builder"], split=split, with_info=True, shuffle_files=False)
        rows = iter(tfds.as_numpy(dataset))
    except missing + broken as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{spec}: cannot be loaded: {reason}; check the name and split, or prepare it first") from error
    for number, row in enumerate(rows, 1):
        where = f"{spec}:{number}"
        reading.check_size(_size(row), where)
        yield {key: _plain(value, info.features[key], where) for key, value in row.items()}, where


def _size(value: Any) -> int:
    """Bytes of texts and numbers in a NumPy value of TFDS."""
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    if isinstance(value, bytes):
        return len(value)
    if getattr(getattr(value, "dtype", None), "kind", "") == "O":
        return sum(map(_size, value.ravel()))
    return getattr(value, "nbytes", 8)


def _plain(value: Any, feature: Any, where: str) -> Any:
    """A NumPy value of a TFDS feature -> plain Python."""
    if isinstance(value, dict):
        return {key: _plain(item, feature[key], where) for key, item in value.items()}
    items = value.tolist() if hasattr(value, "tolist") else value
    inner = getattr(feature, "feature", feature)  # Sequence(ClassLabel) -> ClassLabel
    return _with_names(items, getattr(inner, "names", None), where)


def _with_names(item: Any, names: list[str] | None, where: str) -> Any:
    if isinstance(item, list):
        return [_with_names(part, names, where) for part in item]
    if isinstance(item, bytes):
        try:
            return item.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{where}: bytes that are not UTF-8 ({error.reason}); use another column") from error
    if names and isinstance(item, int) and item >= 0:
        return names[item]
    return item  # a label of -1 means: not known
