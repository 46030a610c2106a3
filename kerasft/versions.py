"""Versions of the packages that a run stands on."""

import sys
from importlib import metadata

import kerasft

# On a Cloud TPU VM the module tensorflow comes from another package.
OTHER_NAMES = {"tensorflow": "tensorflow-tpu"}
UNKNOWN = "unknown"


def version(package: str) -> str:
    """Of a package as it is installed, or as its module says; UNKNOWN where neither does.

    A checkout that is on PYTHONPATH is no installed package, nor is a nightly build under a name of its own.
    """
    if package == "kerasft":  # that whose code runs, whatever else is installed
        return kerasft.__version__
    for name in (package, OTHER_NAMES.get(package, package)):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return str(getattr(sys.modules.get(package.replace("-", "_")), "__version__", UNKNOWN))
