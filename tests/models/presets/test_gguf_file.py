"""What is read of a GGUF file without TensorFlow, and that each file which can't be read is one line for the user."""

import numpy as np
import pytest
from tiny_gguf import EPSILON, HIDDEN, SPECIAL, TEMPLATE, THETA, random_weights, vocabulary, write_gguf

from kerasft.errors import UserError
from kerasft.models.presets.gguf_file import read_gguf
from kerasft.models.presets.presets import resolve_preset


def test_a_file_is_read(tmp_path):
    write_gguf(tmp_path / "tiny.gguf")
    found = read_gguf(resolve_preset(f"gguf:{tmp_path}/tiny.gguf"))
    assert found.sizes["rope_max_wavelength"] == THETA and found.sizes["tie_word_embeddings"] is True
    assert found.sizes["layer_norm_epsilon"] == pytest.approx(EPSILON)
    assert found.tokenizer["unsplittable_tokens"] == SPECIAL and found.tokenizer["split_digits"] is True
    assert (found.tokenizer["start_token"], found.tokenizer["end_token"]) == (None, "<|im_end|>")
    assert found.chat_template == TEMPLATE
    assert resolve_preset(str(tmp_path / "tiny.gguf")) == str(tmp_path / "tiny.gguf")


def test_a_start_token_is_the_files(tmp_path):
    write_gguf(tmp_path / "a.gguf", metadata={"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.pre": "gpt-2"})
    tokenizer = read_gguf(str(tmp_path / "a.gguf")).tokenizer
    assert tokenizer["start_token"] == "<|im_start|>" and tokenizer["split_digits"] is False


def number(value) -> dict:
    return {"metadata": {"tokenizer.ggml.eos_token_id": value}}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"architecture": "qwen2"}, "is of architecture qwen2; llama is read here"),
        ({"metadata": {"llama.block_count": None}}, "has no llama.block_count"),
        ({"metadata": {"llama.rope.scaling.type": "yarn"}}, "has llama.rope.scaling.type, yarn, which is not read"),
        ({"metadata": {"llama.rope.dimension_count": 8}}, "turns 8 of 64 / 4 numbers of a head"),
        ({"metadata": {"llama.block_count": 3}}, "lacks the weight blk.2.attn_k.weight"),
        ({"tensors": {"rope_freqs.weight": np.ones(8, np.float32)}}, "has a weight rope_freqs.weight, which"),
        ({"tensors": {"output_norm.weight": np.ones(32, np.float32)}}, r"of shape \(32,\), not \(64,\)"),
        ({"tensors": {"token_embd.weight": None}}, "has no token_embd.weight"),
        ({"metadata": {"tokenizer.ggml.model": "llama"}}, "tokenizer llama with words split as smollm"),
        ({"metadata": {"tokenizer.ggml.pre": "llama-bpe"}}, "words split as llama-bpe; .* gpt-2 or smollm"),
        ({"metadata": {"tokenizer.ggml.add_space_prefix": True}}, "puts a space before texts"),
        ({"metadata": {"tokenizer.ggml.tokens": ["a", "a"]}}, "has 2 tokens, 1 of them different"),
        ({"metadata": {"tokenizer.ggml.token_type": [4] * len(vocabulary())}}, "neither text nor special"),
        (number(10**6), "has eos token 1000000 of"),
        (number(None), "has no tokenizer.ggml.eos_token_id"),
    ],
)
def test_what_is_not_read_is_one_line(changed, message, tmp_path):
    path = tmp_path / "other.gguf"
    write_gguf(path, **changed)
    with pytest.raises(UserError, match=message) as error:
        resolve_preset(str(path))
    assert str(error.value).startswith(f"model.preset: {path} ") and "\n" not in str(error.value)


@pytest.mark.parametrize("kept", [0, 3, 30, 400, 4000, -1])
def test_a_file_that_was_cut_is_no_whole_one(kept, tmp_path):
    path = tmp_path / "cut.gguf"
    write_gguf(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match="cut.gguf is no whole GGUF file .*; fetch it again"):
        resolve_preset(str(path))


def test_a_form_of_weights_that_the_library_does_not_read(tmp_path, monkeypatch):
    from gguf import quants

    def unknown(data, kind):
        raise NotImplementedError(kind)

    write_gguf(tmp_path / "a.gguf")
    monkeypatch.setattr(quants, "dequantize", unknown)
    with pytest.raises(UserError, match="is quantised as F(16|32), which the library gguf does not read; use"):
        resolve_preset(str(tmp_path / "a.gguf"))


def test_a_path_that_is_no_gguf_file(tmp_path):
    with pytest.raises(UserError, match="no/such.gguf is no file; name a file"):
        resolve_preset("gguf:no/such.gguf")
    (tmp_path / "model.bin").write_bytes(b"GGUF")
    with pytest.raises(UserError, match="does not end in .gguf"):
        resolve_preset(f"gguf:{tmp_path}/model.bin")


def test_weights_are_as_wide_as_blocks():
    assert HIDDEN % 32 == 0 and all(weight.shape[-1] % 32 == 0 for weight in random_weights(False).values())
