"""Versions of the packages that a run stands on."""

from importlib import metadata

# On a Cloud TPU VM the module tensorflow comes from another package.
OTHER_NAMES = {"tensorflow": "tensorflow-tpu"}


def version(package: str) -> str:
    """Of an installed package. Raises importlib.metadata.PackageNotFoundError."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        if package not in OTHER_NAMES:
            raise
        return metadata.version(OTHER_NAMES[package])
