"""What a GGUF file holds, checked without TensorFlow: a Llama's sizes, its weights as they are stored, its tokens."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kerasft.errors import UserError

if TYPE_CHECKING:
    from gguf import GGUFReader, ReaderTensor

# How words are split before they are merged -> whether each digit is one by itself; llama.cpp's names.
SPLITTERS = {"gpt-2": False, "smollm": True}
_NORMAL, _CONTROL, _UNUSED = 1, 3, 5  # kinds of tokens
# What is read of a Llama's own keys, and what has no effect. Any other changes what the model computes.
_READ = (
    "embedding_length",
    "block_count",
    "feed_forward_length",
    "attention.head_count",
    "attention.head_count_kv",
) + (
    "attention.layer_norm_rms_epsilon",
    "attention.key_length",
    "attention.value_length",
    "rope.dimension_count",
    "rope.freq_base",
    "context_length",
    "vocab_size",
    "rope.scaling.original_context_length",
    "rope.scaling.finetuned",
)
_OFF = (None, "none", 0, False, 1.0)  # values of a key that change nothing


class LlamaFile(NamedTuple):
    """A model in a GGUF file.

    Attributes:
        sizes: arguments of KerasHub's LlamaBackbone.
        tensors: name in llama.cpp -> a tensor of the library `gguf`, still quantised.
        tokenizer: arguments of `kerasft.models.tokenizers.byte_level_tokenizer.ByteLevelTokenizer`.
        chat_template: the Jinja text that the file carries for dialogues, if it does.
    """

    sizes: dict[str, Any]
    tensors: dict[str, ReaderTensor]
    tokenizer: dict[str, Any]
    chat_template: str | None


def read_gguf(path: str) -> LlamaFile:
    """Reads and checks a file; the same file is read once a process.

    Raises:
        UserError: it is damaged, or an architecture, a form of weights or a tokenizer that is not read here.
    """
    try:
        stat = Path(path).stat()
        return _read(path, stat.st_mtime_ns, stat.st_size)
    except (OSError, ValueError, KeyError, IndexError, OverflowError) as error:  # what the library raises
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"model.preset: {path} is no whole GGUF file ({type(error).__name__}: {reason}); fetch it again"
        ) from error


@functools.lru_cache(maxsize=2)
def _read(path: str, changed: int, size: int) -> LlamaFile:
    from gguf import GGUFReader

    values = _Values(GGUFReader(path), path)
    tensors = {tensor.name: tensor for tensor in values.reader.tensors}
    sizes = _sizes(values, tensors)
    _check_tensors(values, sizes, tensors)
    template = values.get("tokenizer.chat_template")
    return LlamaFile(sizes, tensors, _tokenizer(values, sizes["vocabulary_size"]), template)


class _Values:
    """Metadata by name, and complaints with the file's place."""

    def __init__(self, reader: GGUFReader, path: str):
        self.reader, self.path = reader, path

    def get(self, name: str, default: Any = None) -> Any:
        field = self.reader.get_field(name)
        return default if field is None else field.contents()

    def names(self, start: str) -> list[str]:
        return sorted(name.removeprefix(start) for name in self.reader.fields if name.startswith(start))

    def need(self, name: str) -> Any:
        value = self.get(name)
        if value is None:
            raise self.mistake(f"has no {name}", "fetch it again")
        return value

    def mistake(self, what: str, fix: str) -> UserError:
        return UserError(f"model.preset: {self.path} {what}; {fix}")


def _sizes(values: _Values, tensors: dict[str, ReaderTensor]) -> dict[str, Any]:
    architecture = values.need("general.architecture")
    if architecture != "llama":
        raise values.mistake(f"is of architecture {architecture}", "llama is read here, such as SmolLM2's files")
    for name in values.names("llama."):
        if name not in _READ and values.get(f"llama.{name}") not in _OFF:
            raise values.mistake(
                f"has llama.{name}, {str(values.get(f'llama.{name}'))[:40]}, which is not read here",
                "use a model without it",
            )
    heads, hidden = values.need("llama.attention.head_count"), values.need("llama.embedding_length")
    turned = values.get("llama.rope.dimension_count", hidden // heads)
    if hidden % heads or turned != hidden // heads:
        raise values.mistake(
            f"turns {turned} of {hidden} / {heads} numbers of a head", "use a model that turns all of them"
        )
    for name in ("key_length", "value_length"):
        width = values.get(f"llama.attention.{name}", hidden // heads)
        if width != hidden // heads:
            raise values.mistake(f"has heads {width} wide ({name}), not {hidden} / {heads}", "use a model that has")
    if "token_embd.weight" not in tensors:
        raise values.mistake("has no token_embd.weight", "fetch it again")
    return {
        "vocabulary_size": int(tensors["token_embd.weight"].shape[1]),
        "num_layers": values.need("llama.block_count"),
        "num_query_heads": heads,
        "num_key_value_heads": values.get("llama.attention.head_count_kv", heads),
        "hidden_dim": hidden,
        "intermediate_dim": values.need("llama.feed_forward_length"),
        "rope_max_wavelength": values.get("llama.rope.freq_base", 10000.0),
        "layer_norm_epsilon": values.need("llama.attention.layer_norm_rms_epsilon"),
        "tie_word_embeddings": "output.weight" not in tensors,
    }


def tensor_shapes(sizes: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name in llama.cpp -> shape, (out, in) for a matrix, of every weight of such a Llama."""
    hidden, inner = sizes["hidden_dim"], sizes["intermediate_dim"]
    shared = hidden // sizes["num_query_heads"] * sizes["num_key_value_heads"]
    layer = {
        "attn_norm": (hidden,),
        "attn_q": (hidden, hidden),
        "attn_k": (shared, hidden),
        "attn_v": (shared, hidden),
        "attn_output": (hidden, hidden),
        "ffn_norm": (hidden,),
        "ffn_gate": (inner, hidden),
        "ffn_up": (inner, hidden),
        "ffn_down": (hidden, inner),
    }
    table = (sizes["vocabulary_size"], hidden)
    shapes = {"token_embd.weight": table, "output_norm.weight": (hidden,)}
    if not sizes["tie_word_embeddings"]:
        shapes["output.weight"] = table
    for number in range(sizes["num_layers"]):
        shapes |= {f"blk.{number}.{name}.weight": shape for name, shape in layer.items()}
    return shapes


def _check_tensors(values: _Values, sizes: dict[str, Any], tensors: dict[str, ReaderTensor]) -> None:
    from gguf import quants

    expected = tensor_shapes(sizes)
    for name in sorted(expected.keys() ^ tensors.keys()):
        if name in expected:
            raise values.mistake(f"lacks the weight {name}", "fetch it again")
        raise values.mistake(f"has a weight {name}, which is not read here", "use a Llama without it")
    for name, shape in expected.items():
        actual = tuple(int(size) for size in reversed(tensors[name].shape))
        if actual != shape:
            raise values.mistake(f"has {name} of shape {actual}, not {shape}", "fetch it again")
    kinds = {tensor.tensor_type: tensor for tensor in tensors.values()}
    for kind, tensor in kinds.items():
        try:
            quants.dequantize(tensor.data.reshape(-1, tensor.data.shape[-1])[:1], kind)
        except NotImplementedError as error:
            raise values.mistake(
                f"is quantised as {kind.name}, which the library gguf does not read", "use a file in Q8_0, Q4_1 or F16"
            ) from error


def _tokenizer(values: _Values, vocabulary_size: int) -> dict[str, Any]:
    model, splitter = values.need("tokenizer.ggml.model"), values.get("tokenizer.ggml.pre")
    if model != "gpt2" or splitter not in SPLITTERS:
        supported = " or ".join(SPLITTERS)
        raise values.mistake(
            f"has the tokenizer {model} with words split as {splitter}", f"byte-level BPE with {supported} is read here"
        )
    if values.get("tokenizer.ggml.add_space_prefix"):
        raise values.mistake("puts a space before texts, which is not done here", "use a model that does not")
    tokens = values.need("tokenizer.ggml.tokens")
    if len(tokens) > vocabulary_size or len(set(tokens)) != len(tokens):
        raise values.mistake(
            f"has {len(tokens)} tokens, {len(set(tokens))} of them different, for a table of {vocabulary_size}",
            "fetch it again",
        )
    kinds = values.get("tokenizer.ggml.token_type", [_NORMAL] * len(tokens))
    if others := [token for token, kind in zip(tokens, kinds) if kind not in (_NORMAL, _CONTROL, _UNUSED)]:
        raise values.mistake(f"has tokens that are neither text nor special, such as {others[0]!r}", "use another")

    def token(name: str) -> str:
        number = values.need(f"tokenizer.ggml.{name}_token_id")
        if number >= len(tokens):
            raise values.mistake(f"has {name} token {number} of {len(tokens)} tokens", "fetch it again")
        return tokens[number]

    return {
        "vocabulary": {token: number for number, token in enumerate(tokens)},
        "merges": list(values.need("tokenizer.ggml.merges")),
        "start_token": token("bos") if values.get("tokenizer.ggml.add_bos_token") else None,
        "end_token": token("eos"),
        "split_digits": SPLITTERS[splitter],
        "unsplittable_tokens": [token for token, kind in zip(tokens, kinds) if kind == _CONTROL],
    }


def dequantised(file: LlamaFile) -> Callable[[str], Any]:
    """Name in llama.cpp -> its weights as NumPy float32, (out, in) for a matrix."""
    from gguf import quants

    def weights(name: str) -> Any:
        tensor = file.tensors[name]
        return quants.dequantize(tensor.data, tensor.tensor_type).reshape(tuple(reversed(tensor.shape.tolist())))

    return weights
