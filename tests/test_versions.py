from importlib import metadata

import pytest

from kerasft.versions import version


def test_tensorflow_may_be_that_of_a_tpu_machine(monkeypatch):
    def installed(package):
        if package != "tensorflow-tpu":
            raise metadata.PackageNotFoundError(package)
        return "2.20.0"

    assert version("tensorflow").startswith("2.20")
    monkeypatch.setattr(metadata, "version", installed)
    assert version("tensorflow") == "2.20.0"
    with pytest.raises(metadata.PackageNotFoundError):
        version("keras")
