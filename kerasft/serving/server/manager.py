"""Which versions are served: new ones are loaded and warmed up beside the old, take over, and the old are drained."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from grpc import StatusCode

from kerasft.errors import ServableError, UserError
from kerasft.serving.server.batching import Scheduler
from kerasft.serving.server.engines import SAVED_MODEL
from kerasft.serving.server.loading import Loading
from kerasft.serving.server.memory import give_back
from kerasft.serving.server.settings import ModelSettings
from kerasft.serving.server.versions import State, Version, find_versions, fingerprint
from kerasft.serving.status import ServingError, invalid

Say = Callable[..., None]  # (event, **facts)


class ServedModel:
    """One name that clients ask for.

    Args:
        settings: where it is and which versions are wanted.

    Attributes:
        versions: by number, those that ended too.
    """

    def __init__(self, settings: ModelSettings):
        self.settings = settings
        self.versions: dict[int, Version] = {}
        self._labels: dict[str, int] = {}  # label -> the version it last meant that was available

    def available(self) -> list[Version]:
        """Versions that answer, the oldest first."""
        return [self.versions[number] for number in sorted(self.versions) if self.versions[number].available]

    def labelled(self, label: str) -> int:
        """The version of a label; while a new one still loads, the one before. Raises ServingError: no such label."""
        if label not in self.settings.labels:
            raise invalid(f"Unrecognized servable version label: {label}")
        return self._labels.get(label, self.settings.labels[label])

    def move_labels(self) -> None:
        """Labels whose versions are there by now mean them."""
        available = {version.number for version in self.available()}
        for label, number in self.settings.labels.items():
            if number in available or self._labels.get(label) not in available:
                self._labels[label] = number


class Manager:
    """All models of the server; used from one event loop.

    Args:
        scheduler: runs their batches.
        say: is told what happens to versions.
        loading: how versions come into memory.
    """

    def __init__(self, scheduler: Scheduler, say: Say, loading: Loading):
        self.models: dict[str, ServedModel] = {}
        self._scheduler = scheduler
        self._say = say
        self._loading = loading
        # One at a time: two versions that load at once would take the memory of three.
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._updating = asyncio.Lock()
        self._unloads: set[asyncio.Task[None]] = set()

    # Answers to requests.
    def find(self, name: str, number: int | None = None, label: str | None = None) -> Version:
        """The version that a request means; take it up (`used`) at once.

        Raises:
            ServingError: there is none.
        """
        if not name:
            raise invalid("ModelSpec has no name specified.")
        model = self.models.get(name)
        if model is None:
            raise _not_found(f"Latest({name})" if number is None else f"Specific({name}, {number})")
        if label:
            number = model.labelled(label)
        if number is None:
            if not (available := model.available()):
                raise _not_found(f"Latest({name})")
            return available[-1]
        version = model.versions.get(number)
        if version is None or not version.available:
            raise _not_found(f"Specific({name}, {number})")
        return version

    def statuses(self, name: str, number: int | None = None, label: str | None = None) -> list[Version]:
        """All versions that were ever to be served, or one of them, the newest first. Raises ServingError."""
        versions = self.models[name].versions if name in self.models else {}
        if label and name in self.models:
            number = self.models[name].labelled(label)
        if number is not None:
            if number not in versions:
                raise ServingError(StatusCode.NOT_FOUND, f"Could not find version {number} of model {name}")
            return [versions[number]]
        if not versions:
            raise ServingError(StatusCode.NOT_FOUND, f"Could not find any versions of model {name}")
        return [versions[number] for number in sorted(versions, reverse=True)]

    @property
    def ready(self) -> bool:
        """Whether every model has a version that answers."""
        return bool(self.models) and all(model.available() for model in self.models.values())

    # Changes.
    async def update(self, settings: Sequence[ModelSettings]) -> None:
        """Serves these models and no others, in the versions that are on disk now; returns when that is so."""
        async with self._updating:
            by_name = {each.name: each for each in settings}
            for name in set(self.models) - set(by_name):
                for version in self.models.pop(name).available():
                    self._unload(version)
            for name, each in by_name.items():
                model = self.models.setdefault(name, ServedModel(each))
                if model.settings.base_path != each.base_path:
                    # Numbers in another folder are other versions: the old ones answer until one of the new does.
                    model = await self._move(model, each)
                model.settings = each
                await self._update_model(model)

    async def _move(self, model: ServedModel, settings: ModelSettings) -> ServedModel:
        moved = ServedModel(settings)
        await self._load_wanted(moved)
        if not moved.available():
            raise ServingError(StatusCode.UNKNOWN, f"no version of {settings.name} at its new base_path can be loaded")
        self.models[settings.name] = moved
        for version in model.available():
            self._unload(version)
        return moved

    async def _update_model(self, model: ServedModel) -> None:
        numbers = await self._load_wanted(model)
        model.move_labels()
        # Never to nothing: with no wanted version that answers, those of before go on.
        if any(model.versions[number].available for number in numbers):
            for version in model.available():
                if version.number not in numbers:
                    self._unload(version)

    async def _load_wanted(self, model: ServedModel) -> set[int]:
        loop = asyncio.get_running_loop()
        folders = await loop.run_in_executor(self._loader, find_versions, model.settings.base_path)
        numbers = model.settings.policy.choose(folders)
        for number in sorted(numbers, reverse=True):  # the newest first: it is what most requests mean
            existing = model.versions.get(number)
            changed = False
            if existing is not None and existing.state is State.END:  # beside the loop: its folder may hold many files
                changed = existing.fingerprint != await loop.run_in_executor(self._loader, fingerprint, folders[number])
            if existing is None or changed:
                about = (model.settings.name, number, folders[number])
                version = model.versions[number] = await loop.run_in_executor(self._loader, Version, *about)
                await self._load(version)
            elif existing.state is State.END and existing.error is None:  # unloaded before, wanted again
                await self._load(existing)
        return numbers

    async def _load(self, version: Version) -> None:
        version.state, version.error = State.LOADING, None
        about = {"model": version.name, "version": version.number}
        self._say("loading", **about)
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            model, warmed, chosen = await loop.run_in_executor(self._loader, self._loading.load, version)
        except Exception as error:  # noqa: BLE001  no version, however broken, may end the server
            expected = isinstance(error, (ServableError, UserError))
            reason = str(error) if expected else f"{type(error).__name__}: {error}"
            version.refuse(reason)
            self._say("refused", **about, reason=reason)
            return
        version.open(model, self._scheduler)
        version.sample = warmed.sample
        if self._loading.engine != SAVED_MODEL:
            self._say("engine", **about, **asdict(chosen))
        seconds = round(loop.time() - start, 3)
        self._say("available", **about, seconds=seconds, warm_up_requests=warmed.requests)

    def _unload(self, version: Version) -> None:
        task = asyncio.get_running_loop().create_task(self._drain(version))
        # From here on no request finds it, though the task has not begun.
        version.state = State.UNLOADING
        self._unloads.add(task)
        task.add_done_callback(self._unloads.discard)

    async def _drain(self, version: Version) -> None:
        model = await version.drain()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._loader, model.close)
        await loop.run_in_executor(self._loader, version.close_guard)
        del model
        await loop.run_in_executor(self._loader, _give_back)
        version.state = State.END
        self._say("unloaded", model=version.name, version=version.number)

    async def close(self) -> None:
        """Unloads everything, once all requests are answered."""
        async with self._updating:
            for model in self.models.values():
                for version in model.available():
                    self._unload(version)
            self.models = {}
            await asyncio.gather(*self._unloads)
            self._loader.shutdown()

    def describe(self) -> Mapping[str, Any]:
        """{model: {version: state}}, for people."""
        return {
            name: {number: version.state.name for number, version in sorted(model.versions.items())}
            for name, model in self.models.items()
        }


def _give_back() -> None:
    gc.collect()  # the objects of a graph refer to each other
    give_back()


def _not_found(request: str) -> ServingError:
    return ServingError(StatusCode.NOT_FOUND, f"Servable not found for request: {request}")
