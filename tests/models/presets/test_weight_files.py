"""What lies about under the names of weights, and what a stranger's files name."""

import json
import pickle
import shutil
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file

from kerasft.errors import UserError
from kerasft.models.presets.hdf5_files import check_hdf5_file
from kerasft.models.presets.keras_presets import load_saved_backbone
from kerasft.models.presets.presets import resolve_preset
from kerasft.models.presets.weight_files import read_header, read_safetensors

FOLDERS = Path(__file__).parents[2] / "fixtures" / "hugging_face"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 34\n"


def refusal(folder: Path) -> str:
    with pytest.raises(UserError, match="^model.preset: ") as error:
        resolve_preset(str(folder))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def bert(tmp_path) -> Path:
    return shutil.copytree(FOLDERS / "bert", tmp_path / "bert")


@pytest.fixture
def saved(tiny_preset, tmp_path) -> Path:
    return shutil.copytree(tiny_preset, tmp_path / "saved")


STRANGERS = [
    (POINTER, "is a pointer of Git LFS, 66 bytes, and not the weights; git lfs pull"),
    (b"", "is empty; fetch the model again"),
    (b"PK\x03\x04" + bytes(100), "is a zip archive, as PyTorch pickles weights"),
    (pickle.dumps({"a": 1}), "is a pickle, which is never read"),
    (b"<!DOCTYPE html><html>sign in</html>", "is a web page; fetch the file itself"),
    (b"\x1f\x8b" + bytes(100), "is packed with gzip; unpack it"),
]


@pytest.mark.parametrize(("content", "message"), STRANGERS, ids=[message for _, message in STRANGERS])
def test_other_things_under_the_name_of_weights(content, message, bert, saved):
    for folder, name in ((bert, "model.safetensors"), (saved, "model.weights.h5")):
        (folder / name).write_bytes(content)
        assert f"{name} {message}" in refusal(folder)


@pytest.mark.parametrize("kept", [4, 12, 100, -1])
def test_a_file_that_was_cut(kept, bert, saved):
    for folder, name in ((bert, "model.safetensors"), (saved, "model.weights.h5")):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:kept] if kept > 0 else whole[: len(whole) + kept])
        message = refusal(folder)
        assert name in message and message.endswith("fetch the model again")


def test_headers_that_lie(bert):
    file = bert / "model.safetensors"
    whole = file.read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]
    file.write_bytes(whole + b"more")
    assert "its weights end at byte" in refusal(bert)
    file.write_bytes(struct.pack("<Q", 2**60) + whole[8:])
    assert "its header should have" in refusal(bert)
    file.write_bytes(whole[:8] + b"{" * length + whole[8 + length :])
    assert "its header is no list of weights" in refusal(bert)
    header = json.loads(whole[8 : 8 + length])
    header["pooler.dense.bias"]["shape"] = [9]
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + whole[8 + length :])
    assert "pooler.dense.bias has 32 bytes for the shape [9]" in refusal(bert)


def test_a_header_may_begin_with_any_byte(tmp_path):
    """Its length is its first byte: 60 is `<`, 128 that of a pickle."""
    for length in (60, 128):
        text = json.dumps({"a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}).ljust(length).encode()
        (tmp_path / "x").write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
        assert list(read_header(tmp_path / "x")) == ["a"]


def write_index(folder: Path, **files) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))


def test_weights_in_several_files(tmp_path):
    save_file({"a": np.zeros(2, np.float32)}, tmp_path / "one.safetensors")
    save_file({"b": np.zeros(3, np.float32)}, tmp_path / "two.safetensors")
    write_index(tmp_path, a="one.safetensors", b="two.safetensors")
    assert {name: tensor.shape for name, tensor in read_safetensors(tmp_path).items()} == {"a": (2,), "b": (3,)}
    (tmp_path / "two.safetensors").unlink()
    with pytest.raises(UserError, match="names two.safetensors, which is not there"):
        read_safetensors(tmp_path)
    write_index(tmp_path, a="one.safetensors", b="one.safetensors")
    with pytest.raises(UserError, match="names b, which one.safetensors does not hold"):
        read_safetensors(tmp_path)


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "a/b.safetensors", "..", "a\\b", "\n"])
def test_an_index_that_points_elsewhere(name, bert, saved):
    write_index(bert, a=name)
    assert "which may lie outside of the folder; it is not read" in refusal(bert)
    (saved / "model.weights.json").write_text(json.dumps({"weight_map": {"a": [name]}}))
    assert "which may lie outside of the folder" in refusal(saved)


def test_links_and_data_of_other_files(saved, tmp_path):
    file = saved / "model.weights.h5"
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["x"] = np.ones(2)

    def broken(change) -> str:
        whole = file.read_bytes()
        with h5py.File(file, "r+") as opened:
            change(opened)
        message = refusal(saved)
        file.write_bytes(whole)
        return message

    secret = str(tmp_path / "secret.h5")
    layout = h5py.VirtualLayout(shape=(2,), dtype="f4")
    layout[:] = h5py.VirtualSource(secret, "x", shape=(2,))
    raw = [(secret, 0, 8)]
    assert "/layers/x is a link to" in broken(lambda f: f["layers"].__setitem__("x", h5py.ExternalLink(secret, "/x")))
    assert "/x is a link to '/layers'" in broken(lambda f: f.__setitem__("x", h5py.SoftLink("/layers")))
    assert "/x is data of another file" in broken(lambda f: f.create_dataset("x", (2,), "f4", external=raw))
    assert "/x is data of another file" in broken(lambda f: f.create_virtual_dataset("x", layout))


def test_hdf5_that_goes_round_in_circles_comes_to_an_end(saved):
    with h5py.File(saved / "model.weights.h5", "r+") as file:
        file["layers"]["again"] = file["layers"]  # a hard link
        group = file
        for _ in range(40):  # 2**40 ways to the last
            inner = group.create_group("a")
            group["b"] = inner
            group = inner
    check_hdf5_file(saved / "model.weights.h5")


def test_hdf5_that_claims_more_than_it_has(saved):
    with h5py.File(saved / "model.weights.h5", "r+") as file:
        file.create_dataset("x", (10**6, 10**5), "f4", chunks=(100, 100))
    assert "its weights would take 400,0" in refusal(saved)


@pytest.mark.parametrize("entry", [
    {"dtype": "F32", "shape": ["a", "b"], "data_offsets": [0, 4]},
    {"dtype": "F32", "shape": [-1, -1], "data_offsets": [0, 4]},
    {"dtype": "F32", "shape": [1], "data_offsets": [0, 2, 4]},
    {"dtype": "F32", "shape": [1], "data_offsets": ["0", "4"]},
    {"dtype": "F32", "shape": [1], "data_offsets": [-4, 4]},
    {"dtype": "F32", "shape": {"1": 2}, "data_offsets": [0, 4]},
])  # fmt: skip
def test_a_header_with_what_is_no_number(entry, tmp_path):
    text = json.dumps({"a": entry, "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    with pytest.raises(UserError, match="its header is no list of weights"):
        read_header(tmp_path / "x")


@pytest.mark.parametrize("name", [7, {"a": "b"}, None, ["x", 7], [["x"]]])
def test_an_index_that_names_no_file(name, bert):
    write_index(bert, a=name)
    assert "names something that is not a file" in refusal(bert)


def rewrite(file: Path, change) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": "code"}, "registered_name": None}
NAMED = [
    (lambda c: c.update(registered_name="evil>Backbone"), "names evil>Backbone, which is not made"),
    (lambda c: c.update(registered_name="Functional"), "names Functional, which is not made"),
    (lambda c: c.update(registered_name="keras_hub>BertTokenizer"), "a preset has a Backbone of KerasHub alone"),
    (lambda c: c.update(module="os.path"), "names os.path.BertBackbone"),
    (lambda c: c["config"].update(x=[LAMBDA]), "names Lambda, which is not made"),
    (lambda c: c["config"].update(x={"class_name": "__lambda__", "config": {"value": "x"}}), "names __lambda__"),
    (lambda c: c["config"].update(x={**LAMBDA, "class_name": "TFSMLayer"}), "names TFSMLayer"),
    (lambda c: c["config"].update(x={**LAMBDA, "class_name": "Mine", "module": "mine"}), "names mine.Mine"),
    (lambda c: c.pop("config"), "has no registered_name with a config"),
]


@pytest.mark.parametrize(("how", "message"), NAMED, ids=[message for _, message in NAMED])
def test_classes_of_strangers(how, message, saved):
    rewrite(saved / "config.json", how)
    assert message in refusal(saved)


def test_tokenizers_of_strangers(saved):
    file = saved / "tokenizer.json"
    whole = file.read_text()
    rewrite(file, lambda content: content.update(registered_name="mine>Tokenizer"))
    assert "names mine>Tokenizer, which is not made" in refusal(saved)
    file.write_text(whole)
    rewrite(file, lambda content: content["config"].update(vocabulary="/etc/passwd"))
    assert "names the file '/etc/passwd' as its vocabulary" in refusal(saved)
    file.write_text(whole)
    reads = {"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}}
    rewrite(saved / "config.json", lambda content: content["config"].update(activation=[reads]))
    assert "config.json names the file '/etc/passwd' as its vocabulary" in refusal(saved)


def test_a_function_of_strangers_under_the_name_of_our_tokenizer(saved):
    named = {"module": "os", "class_name": "function", "config": "system"}
    our = {"registered_name": "kerasft>ByteLevelTokenizer"}
    rewrite(saved / "config.json", lambda content: content["config"].update(activation={**named, **our}))
    assert "names os.function, which is not made" in refusal(saved)


def test_pickles_alone(bert):
    (bert / "model.safetensors").unlink()
    (bert / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    assert "in PyTorch's form, a pickle, which is never read; take a version in safetensors" in refusal(bert)


def test_numbers_that_are_none_in_kerashubs_form(saved):
    with h5py.File(saved / "model.weights.h5", "r+") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        file[names[0]][...] = np.nan
    with pytest.raises(UserError, match="numbers that are NaN or infinite; the model is damaged"):
        load_saved_backbone(str(saved), None, True)
