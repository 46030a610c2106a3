"""Answers of a server for a stream of records, in order: `kerasft predict http://HOST:8501/v1/models/NAME`."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.attribution.registry import DEFAULT
from kerasft.attribution.served import SIGNATURE, explanations
from kerasft.data.sources.sources import Record
from kerasft.errors import StorageError, UserError
from kerasft.inference.texts import Texts, rows_of
from kerasft.prompting import label_requests
from kerasft.prompting.label_requests import labels_text
from kerasft.quoting import quoted
from kerasft.serving.client import SCHEMES, Client, Credentials, ModelSpec
from kerasft.serving.status import ServingError

ADDRESS = re.compile(
    rf"((?:{'|'.join(SCHEMES)})://[^/]+)/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?/?", re.ASCII
)
BATCH = 64  # texts a request, in `answer`
IN_FLIGHT = 4  # batches: while one is answered the next are on their way


def read_token(file: Path, option: str = "--token-file") -> str:
    """The first line of a file that `option` names. Raises UserError where there is none."""
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n", 1)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{option}: {file}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error
    if not lines[0].strip():
        raise UserError(f"{option}: {file}: its first line is empty")
    token = lines[0].strip()
    if not (token.isascii() and token.isprintable()):
        raise UserError(f"{option}: {file}: its first line has characters that no token has")
    return token


class Remote:
    """A model on a server.

    Args:
        address: http://HOST:8501/v1/models/NAME, or grpc://..., or with /versions/N or /labels/L behind it.
        token: a bearer token.
        ca: PEM file of the authority that signed the server's certificate.
        adapter: that answers, of a model with several; None: each row names its own, `adapter`.
        labels: that texts are answered by, of a model with `export.labels`; none: its own.

    Raises:
        UserError: the address has another form, or the server does not have the model or the adapter, or its model
            takes no labels.
    """

    def __init__(
        self,
        address: str,
        token: str | None = None,
        ca: Path | None = None,
        adapter: str | None = None,
        labels: Sequence[str] = (),
    ):
        match = ADDRESS.fullmatch(address)
        if match is None:
            raise UserError(f"{address}: not a model on a server; give one such as http://HOST:8501/v1/models/NAME")
        self._address = address
        self._which = ModelSpec(match[2], int(match[3]) if match[3] else None, match[4])
        try:
            self._client = Client(match[1], credentials=Credentials(ca=ca, token=token))
        except ValueError as error:
            raise UserError(f"{address}: {error}") from error
        except OSError as error:  # of the file; an SSLError is one
            raise UserError(f"{ca}: {error.strerror or error}; name a PEM file of certificates") from error
        try:
            signatures = self._client.signatures(self._which)
        except ServingError as error:
            raise UserError(f"{address}: {error.code.name}: {error.message}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{address}: is no TensorFlow Serving: it does not say what the model asks for") from error
        if "serving_default" not in signatures:
            raise UserError(f"{address}: has no signature serving_default")
        self._signature = adapter or "serving_default"
        if adapter is not None and (
            "adapter" not in signatures["serving_default"]["inputs"] or adapter not in signatures
        ):
            raise UserError(f"--adapter: {address} has no adapter {adapter!r}; it has {', '.join(sorted(signatures))}")
        self._signatures = signatures
        self._labels, self._added = list(labels), {}
        if labels:
            self._signature, self._added = label_requests.SIGNATURE, {label_requests.SIGNATURE: labels_text(labels)}
            if self._signature not in signatures:
                raise UserError(f"--labels: {address} has labels of its own alone; export it with export.labels: true")
        self.inputs = sorted(set(signatures[self._signature]["inputs"]) - set(self._added))

    def answer(self, texts: Texts) -> list[dict[str, Any]]:
        """What the server's default signature gives for each text; see `kerasft.inference.predictor.Predictor`."""
        rows = rows_of(texts, self.inputs)
        return list(self.answers((Record(dict(row), f"text {i}") for i, row in enumerate(rows)), BATCH))

    def explain(self, texts: Texts, method: str = DEFAULT) -> list[dict[str, Any]]:
        """See `kerasft.inference.predictor.Predictor`; what the export's signature `explain` gives, by its own method.

        Raises:
            UserError: the export was made without one (`export.explain`), or the server refuses what it is asked.
        """
        if SIGNATURE not in self._signatures:
            raise UserError(
                f"{self._address}: the export has no signature explain; export it with export.explain, or explain its "
                "run, such as runs/NAME"
            )
        rows = rows_of(texts, self.inputs)
        columns = {name: [row[name] for row in rows] for name in self.inputs}
        try:
            outputs = self._client.predict(self._which, columns, SIGNATURE)
        except ServingError as error:
            raise UserError(f"{self._address}: {error.code.name}: {error.message}") from error
        return explanations(outputs, rows, self.inputs)

    def answers(self, records: Iterable[Record], batch_size: int) -> Iterator[dict[str, Any]]:
        """One answer a record, in order; a few batches are under way at a time.

        Raises:
            UserError: a record lacks an input, or the server refuses what it is asked.
            StorageError: the server cannot be reached or does not answer in time.
        """
        rows = iter(records)
        waiting: deque = deque()
        with ThreadPoolExecutor(IN_FLIGHT) as threads:
            try:
                while batch := list(islice(rows, batch_size)):
                    columns = {name: [_text(record, name) for record in batch] for name in self.inputs}
                    columns |= {name: [text] * len(batch) for name, text in self._added.items()}
                    waiting.append(
                        (batch[0].where, threads.submit(self._client.predict, self._which, columns, self._signature))
                    )
                    if len(waiting) == IN_FLIGHT:
                        yield from self._take(*waiting.popleft())
                while waiting:
                    yield from self._take(*waiting.popleft())
            finally:
                for _, answer in waiting:
                    answer.cancel()

    def _take(self, where: str, answer) -> list[dict[str, Any]]:
        try:
            outputs = answer.result()
        except ServingError as error:
            message = f"{self._address}: the batch from {where} on: {error.code.name}: {error.message}"
            raise (UserError if error.http_status < 500 else StorageError)(message) from error
        columns = {name: _plain(array) for name, array in outputs.items()}
        if self._labels:  # a server may have answered rows with more labels in the same batch
            columns["probabilities"] = [dict(zip(self._labels, row)) for row in columns["probabilities"]]
        return [dict(zip(columns, values)) for values in zip(*columns.values())]

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *failed: object) -> None:
        self._client.close()


def _text(record: Record, name: str) -> str:
    value = record.values.get(name)
    if not isinstance(value, str):
        raise UserError(f"{record.where}: the model asks for {name!r}, a text; there is {quoted(value)}")
    # A lone surrogate, which JSON Lines can hold, has no UTF-8 form.
    return value.encode("utf-8", "replace").decode("utf-8")


def _plain(array: np.ndarray) -> list[Any]:
    if array.dtype != object:
        return array.tolist()
    return np.vectorize(lambda value: value.decode("utf-8", "replace"), otypes=[object])(array).tolist()
