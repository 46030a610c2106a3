"""What Hugging Face's models call the layers of KerasHub's backbones: the names in files of PEFT."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from kerasft.errors import UserError

if TYPE_CHECKING:  # an adapter is read without TensorFlow
    import keras

_BERT = {
    r"transformer_layer_(\d+)/self_attention_layer/(query|key|value)": r"encoder.layer.\1.attention.self.\2",
    r"transformer_layer_(\d+)/self_attention_layer/attention_output": r"encoder.layer.\1.attention.output.dense",
    r"transformer_layer_(\d+)/self_attention_layer_norm": r"encoder.layer.\1.attention.output.LayerNorm",
    r"transformer_layer_(\d+)/feedforward_intermediate_dense": r"encoder.layer.\1.intermediate.dense",
    r"transformer_layer_(\d+)/feedforward_output_dense": r"encoder.layer.\1.output.dense",
    r"transformer_layer_(\d+)/feedforward_layer_norm": r"encoder.layer.\1.output.LayerNorm",
    r"embeddings_layer_norm": r"embeddings.LayerNorm",
    r"pooled_dense": r"pooler.dense",
}
_DEBERTA = {
    pattern.replace("transformer_layer_", "disentangled_attention_encoder_layer_"): name
    for pattern, name in _BERT.items()
    if "query" not in pattern
} | {
    rf"disentangled_attention_encoder_layer_(\d+)/self_attention_layer/{part}": (
        rf"encoder.layer.\1.attention.self.{part}_proj"
    )
    for part in ("query", "key", "value")
}
_DISTILBERT = {
    r"transformer_layer_(\d+)/self_attention_layer/query": r"transformer.layer.\1.attention.q_lin",
    r"transformer_layer_(\d+)/self_attention_layer/key": r"transformer.layer.\1.attention.k_lin",
    r"transformer_layer_(\d+)/self_attention_layer/value": r"transformer.layer.\1.attention.v_lin",
    r"transformer_layer_(\d+)/self_attention_layer/attention_output": r"transformer.layer.\1.attention.out_lin",
    r"transformer_layer_(\d+)/self_attention_layer_norm": r"transformer.layer.\1.sa_layer_norm",
    r"transformer_layer_(\d+)/feedforward_intermediate_dense": r"transformer.layer.\1.ffn.lin1",
    r"transformer_layer_(\d+)/feedforward_output_dense": r"transformer.layer.\1.ffn.lin2",
    r"transformer_layer_(\d+)/feedforward_layer_norm": r"transformer.layer.\1.output_layer_norm",
    r"embeddings_layer_norm": r"embeddings.LayerNorm",
}
_GROUP = r"encoder.albert_layer_groups.\1.albert_layers.\2"
_ALBERT = {
    r"group_(\d+)_inner_layer_(\d+)/self_attention_layer/(query|key|value)": rf"{_GROUP}.attention.\3",
    r"group_(\d+)_inner_layer_(\d+)/self_attention_layer/attention_output": rf"{_GROUP}.attention.dense",
    r"group_(\d+)_inner_layer_(\d+)/self_attention_layer_norm": rf"{_GROUP}.attention.LayerNorm",
    r"group_(\d+)_inner_layer_(\d+)/feedforward_intermediate_dense": rf"{_GROUP}.ffn",
    r"group_(\d+)_inner_layer_(\d+)/feedforward_output_dense": rf"{_GROUP}.ffn_output",
    r"group_(\d+)_inner_layer_(\d+)/feedforward_layer_norm": rf"{_GROUP}.full_layer_layer_norm",
    r"embedding_projection": r"encoder.embedding_hidden_mapping_in",
    r"embeddings_layer_norm": r"embeddings.LayerNorm",
    r"pooled_dense": r"pooler",
}
# Query, key and value are one layer, the first, second and last third of what it gives.
_GPT2 = {
    r"transformer_layer_(\d+)/self_attention/query": r"h.\1.attn.c_attn[0]",
    r"transformer_layer_(\d+)/self_attention/key": r"h.\1.attn.c_attn[1]",
    r"transformer_layer_(\d+)/self_attention/value": r"h.\1.attn.c_attn[2]",
    r"transformer_layer_(\d+)/self_attention/attention_output": r"h.\1.attn.c_proj",
    r"transformer_layer_(\d+)/self_attention_layer_norm": r"h.\1.ln_1",
    r"transformer_layer_(\d+)/feedforward_intermediate_dense": r"h.\1.mlp.c_fc",
    r"transformer_layer_(\d+)/feedforward_output_dense": r"h.\1.mlp.c_proj",
    r"transformer_layer_(\d+)/feedforward_layer_norm": r"h.\1.ln_2",
    r"layer_norm": r"ln_f",
}
_LLAMA = {
    r"transformer_layer_(\d+)/self_attention/query": r"layers.\1.self_attn.q_proj",
    r"transformer_layer_(\d+)/self_attention/key": r"layers.\1.self_attn.k_proj",
    r"transformer_layer_(\d+)/self_attention/value": r"layers.\1.self_attn.v_proj",
    r"transformer_layer_(\d+)/self_attention/attention_output": r"layers.\1.self_attn.o_proj",
    r"transformer_layer_(\d+)/self_attention_layernorm": r"layers.\1.input_layernorm",
    r"transformer_layer_(\d+)/feedforward_gate_dense": r"layers.\1.mlp.gate_proj",
    r"transformer_layer_(\d+)/feedforward_intermediate_dense": r"layers.\1.mlp.up_proj",
    r"transformer_layer_(\d+)/feedforward_output_dense": r"layers.\1.mlp.down_proj",
    r"transformer_layer_(\d+)/feedforward_layernorm": r"layers.\1.post_attention_layernorm",
    r"sequence_output_layernorm": r"norm",
}
# KerasHub's query, key and value of Gemma are products of another form, which no method changes.
_GEMMA = {
    r"decoder_block_(\d+)/attention/attention_output": r"layers.\1.self_attn.o_proj",
    r"decoder_block_(\d+)/ffw_gating": r"layers.\1.mlp.gate_proj",
    r"decoder_block_(\d+)/ffw_gating_2": r"layers.\1.mlp.up_proj",
    r"decoder_block_(\d+)/ffw_linear": r"layers.\1.mlp.down_proj",
    r"final_normalization": r"norm",
}
_SMOLLM3 = {
    r"transformer_layer_(\d+)/self_attn/(q|k|v)_proj": r"layers.\1.self_attn.\2_proj",
    r"transformer_layer_(\d+)/mlp/(gate|up|down)_proj": r"layers.\1.mlp.\2_proj",
    r"sequence_output_layernorm": r"norm",
}
_BART_SIDES = {"encoder": ("self_attention_layer", "self_attn"), "decoder": ("self_attention", "self_attn")}
_BART_CROSSED = {"decoder": ("cross_attention", "encoder_attn")}
_BART_PARTS = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "attention_output": "out_proj"}
_BART = {
    rf"transformer_{side}_layer_(\d+)/{ours}/{part}": rf"{side}.layers.\1.{theirs}.{name}"
    for sides in (_BART_SIDES, _BART_CROSSED)
    for side, (ours, theirs) in sides.items()
    for part, name in _BART_PARTS.items()
} | {
    rf"transformer_{side}_layer_(\d+)/feedforward_{part}_dense": rf"{side}.layers.\1.{name}"
    for side in _BART_SIDES
    for part, name in (("intermediate", "fc1"), ("output", "fc2"))
}
_T5_ENCODER, _T5_DECODER = r"transformer_encoder_layer_(\d+)", r"transformer_decoder_layer_(\d+)"
_T5_ATTENTION = {"query": "q", "key": "k", "value": "v", "output": "o"}
_T5 = {
    **{
        rf"{_T5_ENCODER}/self_attention/{ours}_projector": rf"encoder.block.\1.layer.0.SelfAttention.{name}"
        for ours, name in _T5_ATTENTION.items()
    },
    **{
        rf"{_T5_DECODER}/self_attention/{ours}_projector": rf"decoder.block.\1.layer.0.SelfAttention.{name}"
        for ours, name in _T5_ATTENTION.items()
    },
    **{
        rf"{_T5_DECODER}/cross_attention/{ours}_projector": rf"decoder.block.\1.layer.1.EncDecAttention.{name}"
        for ours, name in _T5_ATTENTION.items()
    },
    rf"{_T5_ENCODER}/output_projector": r"encoder.block.\1.layer.1.DenseReluDense.wo",
    rf"{_T5_DECODER}/output_projector": r"decoder.block.\1.layer.2.DenseReluDense.wo",
}
_T5_PLAIN = {
    rf"{_T5_ENCODER}/input_projector": r"encoder.block.\1.layer.1.DenseReluDense.wi",
    rf"{_T5_DECODER}/input_projector": r"decoder.block.\1.layer.2.DenseReluDense.wi",
}
_T5_GATED = {
    rf"{_T5_ENCODER}/input_projector": r"encoder.block.\1.layer.1.DenseReluDense.wi_0",
    rf"{_T5_ENCODER}/gate_projector": r"encoder.block.\1.layer.1.DenseReluDense.wi_1",
    rf"{_T5_DECODER}/input_projector": r"decoder.block.\1.layer.2.DenseReluDense.wi_0",
    rf"{_T5_DECODER}/gate_projector": r"decoder.block.\1.layer.2.DenseReluDense.wi_1",
}
_LLAMA_KIN = ("Llama", "Llama3", "Mistral", "Qwen", "Qwen3")


class Family(NamedTuple):
    """Names of one family.

    Attributes:
        prefix: of a model with a head, such as `bert.`.
        patterns: a regular expression that a whole path of ours fits -> the name behind the prefix.
        thirds: layers of ours that are one layer there.
        turned: its linear layers hold their kernels as ours do, (inner, outer).
    """

    prefix: str
    patterns: dict[str, str]
    thirds: int = 0
    turned: bool = False


FAMILIES: dict[str, Family] = {
    "BertBackbone": Family("bert.", _BERT),
    "ElectraBackbone": Family("electra.", _BERT),
    "RobertaBackbone": Family("roberta.", _BERT),
    "XLMRobertaBackbone": Family("roberta.", _BERT),
    "DistilBertBackbone": Family("distilbert.", _DISTILBERT),
    "AlbertBackbone": Family("albert.", _ALBERT),
    "DebertaV3Backbone": Family("deberta.", _DEBERTA),
    "GPT2Backbone": Family("transformer.", _GPT2, thirds=3, turned=True),
    "BartBackbone": Family("model.", _BART),
    "T5Backbone": Family("", _T5),
    **{f"{name}Backbone": Family("model.", _LLAMA) for name in _LLAMA_KIN},
    "GemmaBackbone": Family("model.", _GEMMA),
    "SmolLM3Backbone": Family("model.", _SMOLLM3),
}


def family_of(backbone: keras.Model) -> Family:
    """Raises UserError where nothing is known of what Hugging Face calls its layers."""
    name = type(backbone).__name__
    if name not in FAMILIES:
        known = ", ".join(kind.removesuffix("Backbone") for kind in FAMILIES)
        raise UserError(
            f"model.peft: the adapter could not be saved, because files of PEFT have no names here for the layers of a "
            f"{name}; there are {known}"
        )
    family = FAMILIES[name]
    if name == "T5Backbone":
        gated = any("gate_projector" in weight.path for weight in backbone.weights)
        family = family._replace(patterns={**_T5, **(_T5_GATED if gated else _T5_PLAIN)})
    return family


def known_prefix(backbone: keras.Model) -> str:
    """What names begin with in a model with a head; "" where the family is not known."""
    family = FAMILIES.get(type(backbone).__name__)
    return family.prefix if family else ""


def known_names(backbone: keras.Model, paths: Sequence[str]) -> dict[str, str]:
    """`module_names` of those paths that have one, where the family is known."""
    if type(backbone).__name__ not in FAMILIES:
        return {}
    patterns = family_of(backbone).patterns
    named = [path for path in paths if any(re.fullmatch(pattern, path) for pattern in patterns)]
    return module_names(backbone, named)


def module_names(backbone: keras.Model, paths: Sequence[str]) -> dict[str, str]:
    """Paths of layers -> names of modules in a model with a head; `[i]` behind one: a third of that module.

    Raises:
        UserError: a layer has none.
    """
    family, found = family_of(backbone), {}
    for path in paths:
        for pattern, name in family.patterns.items():
            if match := re.fullmatch(pattern, path):
                found[path] = family.prefix + match.expand(name)
                break
        else:
            raise UserError(
                f"model.peft.targets: {path} could not be saved, because files of PEFT have no name for it; take it out"
            )
    return found


def our_names(modules: Iterable[str]) -> list[str] | None:
    """Names of modules in a file of PEFT -> what `model.peft.targets` calls them; None: they are of no family here.

    The last part of a path where all layers of that name are meant, otherwise whole paths.
    """
    wanted = set(modules)
    numbers = sorted({int(number) for name in wanted for number in re.findall(r"\.(\d+)(?=\.)", name)})
    for family in [*FAMILIES.values(), *(Family("", {**_T5, **more}) for more in (_T5_GATED, _T5_PLAIN))]:
        known = dict(_paths(family, numbers))  # ours -> theirs
        bare = {path: name.removeprefix(family.prefix) for path, name in known.items()}
        for names in (known, bare):  # of a model with a head, or without
            if wanted and wanted <= {name.partition("[")[0] for name in names.values()}:
                meant = [path for path, name in names.items() if name.partition("[")[0] in wanted]
                left = {path.rpartition("/")[2] for path in names if path not in meant}
                ends = ((path, path.rpartition("/")[2]) for path in meant)
                return list(dict.fromkeys(path if last in left else last for path, last in ends))
    return None


def _paths(family: Family, numbers: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Every path of ours that the patterns of a family fit, with these numbers of layers, and its name there."""
    for pattern, name in family.patterns.items():
        parts = re.split(r"[()]", pattern)  # what is fixed, then a group, in turns
        choices = [list(map(str, numbers)) if part == r"\d+" else part.split("|") for part in parts]
        for chosen in itertools.product(*choices):
            path = "".join(chosen)
            if match := re.fullmatch(pattern, path):
                yield path, family.prefix + match.expand(name)
