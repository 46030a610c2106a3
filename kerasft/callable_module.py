"""Programs whose modules are functions, too.

`python -m kerasft.train` and `kerasft.train(...)` need one name. Python gives it to the module as soon as that is
imported, by whomever: so the module itself can be called.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


class CallableModule(ModuleType):
    """A module; calling it calls a function of it."""

    function: Callable[..., Any]

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.function(*args, **options)


def make_callable(name: str, function: Callable[..., Any]) -> None:
    """Lets a module that is being imported be called as one of its functions.

    Args:
        name: of the module.
        function: of the module.
    """
    module = sys.modules[name]
    module.__class__ = CallableModule
    vars(module).update(function=function)
