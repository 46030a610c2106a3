"""Makes tests/fixtures/peft: adapters as Hugging Face's PEFT saves them, and the hidden states that PEFT computes.

Not part of the tests: it needs torch, transformers and peft in an environment of their own. The fixtures were made with
the versions that `expected.json` names.

    python benchmarks/peers/hf_peft_fixtures.py [FAMILY ...]

The bases are the tiny random models of tests/fixtures/hugging_face; DeBERTa's, which kerasft reads in KerasHub's form
alone, is made here, in tests/fixtures/peft_bases. All weights of an adapter are drawn anew, so that none is zero.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import peft
import torch
import transformers

FIXTURES = Path(__file__).parents[2] / "tests" / "fixtures"
BERT = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]
LLAMA = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
DEBERTA = ["query_proj", "key_proj", "value_proj", "attention.output.dense", "intermediate.dense", "output.dense"]
BART = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
# Family -> its linear layers; those that IA3 scales the output of, and those that it scales the input of.
LAYERS = {
    "bert": (BERT, ["key", "value"], [r"layer.0.output.dense", r"layer.1.output.dense"]),
    "roberta": (BERT, ["key", "value"], [r"layer.0.output.dense", r"layer.1.output.dense"]),
    "distilbert": (["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"], ["k_lin", "v_lin"], ["lin2"]),
    "albert": (["query", "key", "value", "attention.dense", "ffn", "ffn_output"], ["key", "value"], ["ffn_output"]),
    "gpt2": (["c_attn", "c_fc", "c_proj"], ["c_attn"], ["mlp.c_proj"]),
    "llama": (LLAMA, ["k_proj", "v_proj"], ["down_proj"]),
    "deberta": (DEBERTA, ["key_proj", "value_proj"], [r"layer.0.output.dense", r"layer.1.output.dense"]),
    "bart": (BART, ["k_proj", "v_proj"], ["fc2"]),
}  # fmt: skip
# Version 3, which has no positions among its inputs, and one set of projections for contents and distances.
DEBERTA_BASE = {
    **{"vocab_size": 40, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12},
    **{"max_position_embeddings": 16, "position_buckets": 4, "type_vocab_size": 0, "relative_attention": True},
    **{"pos_att_type": ["c2p", "p2c"], "share_att_key": True, "norm_rel_ebd": "layer_norm", "layer_norm_eps": 1e-7},
    **{"position_biased_input": False, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
}
NO_ADALORA = ("gpt2",)  # PEFT has none for its layers
IDS = [[2, 5, 6, 7, 8, 9, 10, 11], [2, 12, 6, 13, 5, 3, 3, 3]]
MASK = [[1] * 8, [1] * 5 + [0] * 3]


def config_of(family: str, method: str) -> peft.PeftConfig:
    layers, given, read = LAYERS[family]
    turned = family == "gpt2"
    if method == "ia3":
        return peft.IA3Config(target_modules=[*given, *read], feedforward_modules=read, fan_in_fan_out=turned)
    if method == "adalora":
        return peft.AdaLoraConfig(init_r=3, target_r=2, lora_alpha=6, target_modules=layers, total_step=10)
    dora = method == "dora"
    return peft.LoraConfig(r=2, lora_alpha=6, target_modules=layers, use_dora=dora, fan_in_fan_out=turned)


def outputs(model: torch.nn.Module, family: str) -> torch.Tensor:
    """The last hidden states, (2, 8, width); of BART those of its decoder, which reads the same."""
    ids, mask = torch.tensor(IDS), torch.tensor(MASK)
    more = {"decoder_input_ids": ids, "decoder_attention_mask": mask} if family == "bart" else {}
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask, **more).last_hidden_state


class NoMasks(list):
    """No mask for any head: transformers' ALBERT cuts the list too short where a group has several layers."""

    def __getitem__(self, place):
        return self if isinstance(place, slice) else None


def make_deberta(place: Path) -> None:
    """A random base, whose weights are so large that each is seen in what it gives."""
    torch.manual_seed(1)
    model = transformers.DebertaV2Model(transformers.DebertaV2Config(**DEBERTA_BASE))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    model.save_pretrained(str(place))


def make(family: str, method: str) -> None:
    folder = FIXTURES / "peft" / f"{family}-{method}"
    torch.manual_seed(0)
    place = FIXTURES / ("peft_bases" if family == "deberta" else "hugging_face") / family
    if family == "deberta" and not place.exists():
        make_deberta(place)
    rope = json.loads((place / "config.json").read_text(encoding="utf-8")).get("rope_parameters") or {}
    more = {"rope_theta": rope["rope_theta"]} if rope else {}  # which older releases look for elsewhere
    base = transformers.AutoModel.from_pretrained(str(place), **more).eval()
    if family == "albert":
        base.get_head_mask = lambda *_: NoMasks()
    before = outputs(base, family)
    model = peft.get_peft_model(base, config_of(family, method)).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "magnitude" in name or "ia3" in name:
                weight.mul_(1.0 + 0.3 * torch.randn_like(weight))
            elif "lora_" in name:
                weight.copy_(0.3 * torch.randn_like(weight))
    found = outputs(model, family)
    moved = float((found - before).abs().max())
    if not moved > 1e-2:
        raise SystemExit(f"{family} {method}: the adapter changes nothing ({moved})")
    shutil.rmtree(folder, ignore_errors=True)
    model.create_or_update_model_card = lambda _: None  # a page for a hub
    model.save_pretrained(str(folder), safe_serialization=True)
    settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    settings |= {"base_model_name_or_path": family, "target_modules": sorted(settings["target_modules"])}
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
    content = {"ids": IDS, "mask": MASK, "hidden": found.double().tolist(), "versions": versions}
    (folder / "expected.json").write_text(json.dumps(content) + "\n", encoding="utf-8")
    print(f"{folder.name}: moved by {moved:.3f}")


if __name__ == "__main__":
    for name in sys.argv[1:] or LAYERS:
        for kind in ("lora", "dora", "ia3", "adalora"):
            if kind != "adalora" or name not in NO_ADALORA:
                make(name, kind)
