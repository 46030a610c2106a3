import sys
import types
from importlib import metadata

import kerasft
from kerasft.cli import main
from kerasft.versions import version


def test_tensorflow_may_be_that_of_a_tpu_machine(monkeypatch):
    def installed(package):
        if package != "tensorflow-tpu":
            raise metadata.PackageNotFoundError(package)
        return "2.20.1"

    assert version("tensorflow").startswith("2.20")
    monkeypatch.setattr(metadata, "version", installed)
    assert version("tensorflow") == "2.20.1"


def test_a_package_that_is_not_installed_as_such_is_no_reason_to_end_a_run(monkeypatch, capsys):
    def nothing(package):
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", nothing)
    monkeypatch.setitem(sys.modules, "keras_hub", types.SimpleNamespace(__version__="0.99.dev1"))
    monkeypatch.delitem(sys.modules, "some_package", raising=False)
    assert version("kerasft") == kerasft.__version__  # a checkout on PYTHONPATH
    assert version("keras-hub") == "0.99.dev1"  # keras-hub-nightly
    assert version("some-package") == "unknown"
    assert main(["version"]) == 0
    assert capsys.readouterr().out.startswith(f"kerasft {kerasft.__version__}, tensorflow ")
