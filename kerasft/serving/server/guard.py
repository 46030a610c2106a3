"""What a server does about texts that a filter finds: it refuses, masks or notes them, and counts all of them."""

from __future__ import annotations

import functools
import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from google.protobuf.message import DecodeError
from grpc import StatusCode
from tensorflow.core.example.example_pb2 import Example

from kerasft.errors import ServableError, UserError
from kerasft.serving.filters import Classify, Hit, TextFilter, filters_of, mask_of, masked
from kerasft.serving.personal_data import Span
from kerasft.serving.server.loaded_model import Arrays, LoadedModel
from kerasft.serving.server.moved_places import MovedPlaces
from kerasft.serving.server.redaction import redact
from kerasft.serving.server.requests import DEFAULT_SIGNATURE, INPUTS
from kerasft.serving.server.versions import find_versions
from kerasft.serving.status import ServingError, invalid

if TYPE_CHECKING:
    from kerasft.serving.server.metrics import Metrics

WRITTEN = "text"  # the output that holds what a model wrote
FACTS = Path("assets.extra") / "kerasft.json"
MOST_CHARACTERS = 500  # of a text in the review file


class ReviewFile:
    """Lines of JSON for a person to look at, in a file that its owner alone reads. Personal data is masked by form.

    Args:
        path: it is added to.

    Raises:
        UserError: it can't be written.
    """

    def __init__(self, path: Path):
        self._lock = threading.Lock()
        try:
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise UserError(f"--review-file: {path} can't be written ({error.strerror}); name another file") from error
        self._file = os.fdopen(handle, "a", encoding="utf-8")

    def add(self, model: str, version: int, side: str, hit: Hit, text: str) -> None:
        """One text that a filter found something in."""
        about = {"time": round(time.time(), 3), "model": model, "version": version, "side": side}
        line = about | {"filter": hit.filter.name, "action": hit.filter.action}
        line["text"] = redact(text)[:MOST_CHARACTERS]
        with self._lock:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Nothing is added any more."""
        self._file.close()


class Guard:
    """The filters of one version.

    Args:
        name, number: of the version.
        filters: in their order.
        metrics: are told of each text that a filter finds something in.
        review: gets them, too; None: nothing does.
        models: that filters run.
    """

    def __init__(
        self,
        name: str,
        number: int,
        filters: Sequence[TextFilter],
        metrics: Metrics,
        review: ReviewFile | None,
        models: Sequence[LoadedModel] = (),
    ):
        self.name, self.number, self.filters, self.models = name, number, filters, models
        self._metrics, self._review = metrics, review

    def inputs(self, inputs: Arrays, places: MovedPlaces | None = None) -> Arrays:
        """Texts of a request as the model may read them.

        Args:
            inputs: of a signature.
            places: is told of what is masked, so that places in the answer can be moved back.

        Raises:
            ServingError: a text is blocked.
        """
        if set(inputs) == {INPUTS}:
            return {INPUTS: self._examples(inputs[INPUTS])}
        return self._columns(inputs, "input", list(inputs), places)

    def outputs(self, outputs: Arrays) -> Arrays:
        """What a model wrote, as it may be told. Raises ServingError where it is blocked."""
        return self._columns(outputs, "output", [WRITTEN])

    def close(self) -> None:
        """Gives back what its models hold."""
        for model in self.models:
            model.close()

    def _columns(self, arrays: Arrays, side: str, names: Sequence[str], places: MovedPlaces | None = None) -> Arrays:
        filters = [each for each in self.filters if each.on(side)]
        changed = dict(arrays)
        for name in names if filters else ():
            array = arrays.get(name)
            if array is None or array.dtype != object or array.ndim != 1:
                continue
            texts = [text.decode("utf-8", "replace") for text in array]
            tell = functools.partial(places.add, name) if places is not None else None
            filtered = self._filtered(filters, texts, side, tell)
            if filtered != texts:
                changed[name] = np.empty(len(array), object)
                changed[name][:] = [
                    new.encode("utf-8") if new != old else raw for new, old, raw in zip(filtered, texts, array)
                ]
        return changed

    def _examples(self, array: np.ndarray) -> np.ndarray:
        """Serialized tf.Examples, whose texts are features."""
        filters = [each for each in self.filters if each.on("input")]
        if not filters:
            return array
        try:
            examples = [Example.FromString(each) for each in array]
        except DecodeError:
            raise invalid(f"input '{INPUTS}' has a string that is no serialized tf.Example") from None
        values = [value for each in examples for _, value in sorted(each.features.feature.items())]
        places = [(value, place) for value in values for place in range(len(value.bytes_list.value))]
        texts = [value.bytes_list.value[place].decode("utf-8", "replace") for value, place in places]
        for (value, place), old, new in zip(places, texts, self._filtered(filters, texts, "input")):
            if new != old:
                value.bytes_list.value[place] = new.encode("utf-8")
        found = np.empty(len(array), object)
        found[:] = [each.SerializeToString() for each in examples]
        return found

    def _filtered(
        self,
        filters: Sequence[TextFilter],
        texts: list[str],
        side: str,
        tell: Callable[[int, str, str, Sequence[Span]], None] | None = None,
    ) -> list[str]:
        texts = list(texts)
        for each in filters:
            hits = each.hits(texts)
            for hit in hits:
                self._metrics.filtered(self.name, each.config.name, side, each.config.action)
                if self._review is not None:
                    self._review.add(self.name, self.number, side, hit, texts[hit.row])
            if hits and each.config.action == "block":
                what = "the request" if side == "input" else "the answer"
                raise ServingError(StatusCode.PERMISSION_DENIED, f"{what} was stopped by the filter {each.config.name}")
            if each.config.action == "mask":
                for hit in hits:
                    if tell is not None:
                        tell(hit.row, texts[hit.row], mask_of(each.config.name), hit.spans)
                    texts[hit.row] = masked(texts[hit.row], each.config.name, hit.spans)
        return texts


def load_guard(
    folder: Path, name: str, number: int, metrics: Metrics, review: ReviewFile | None, trust: bool
) -> Guard | None:
    """The filters that a version came with, their models loaded; None: it has none.

    Raises:
        ServableError: kerasft.json can't be read, or a filter's model can't be loaded: without its filters the version
            may not answer.
    """
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):  # not one of ours
        return None
    except (OSError, ValueError) as error:
        raise ServableError(
            f"{folder / FACTS} can't be read, so nobody knows the filters of this version; export it again"
        ) from error
    filters, models = [], []
    try:
        for each in filters_of(facts):
            classify = None
            if each.model is not None:
                models.append(_load_model(each.name, Path(each.model), trust))
                classify = classifier(each.name, models[-1])
            filters.append(TextFilter(each, classify))
    except BaseException:
        for model in models:
            model.close()
        raise
    return Guard(name, number, filters, metrics, review, models) if filters else None


def _load_model(name: str, folder: Path, trust: bool) -> LoadedModel:
    versions = find_versions(folder) if not (folder / "saved_model.pb").is_file() else {0: folder}
    if not versions:
        raise ServableError(f"the model of the filter {name}, {folder}, holds no version (1/saved_model.pb)")
    return LoadedModel(versions[max(versions)], trust)


def classifier(name: str, model: LoadedModel) -> Classify:
    """A loaded text classifier as a filter asks it. Raises ServableError: it is none of one text a row."""
    signature = model.signatures.get(DEFAULT_SIGNATURE)
    if signature is None or list(signature.inputs) != ["text"] or not {"label", "score"} <= set(signature.outputs):
        raise ServableError(f"the model of the filter {name} is no classifier of a text with label and score")

    def classify(texts: Sequence[str]) -> list[tuple[str, float]]:
        array = np.empty(len(texts), object)
        array[:] = [text.encode("utf-8", "replace") for text in texts]
        outputs: Mapping[str, np.ndarray] = model.run(DEFAULT_SIGNATURE, {"text": array})
        labels = [label.decode("utf-8") for label in outputs["label"].tolist()]
        return list(zip(labels, outputs["score"].tolist()))

    return classify
