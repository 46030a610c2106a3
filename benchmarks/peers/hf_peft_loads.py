"""Whether Hugging Face's PEFT loads adapters that kerasft writes, and computes what kerasft does with them.

Two steps, because the two programs need different packages: the first writes adapters with kerasft, the second loads
them with torch, transformers and peft, in an environment of their own.

    python -m benchmarks.peers.hf_peft_loads write FOLDER
    python benchmarks/peers/hf_peft_loads.py check FOLDER [FAMILY ...]

The bases are the tiny random models of tests/fixtures/hugging_face. All weights of an adapter are drawn, so that none
is zero. Classifiers of BERT, ALBERT and RoBERTa have a head that PEFT loads, too: their logits are compared; of the
others the last hidden states are.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

BASES = Path(__file__).parents[2] / "tests" / "fixtures" / "hugging_face"
FAMILIES = ("bert", "roberta", "albert", "distilbert", "gpt2", "llama")
WITH_HEAD = ("bert", "roberta", "albert")
METHODS = {
    "lora": {"rank": 2, "scaling": "sqrt"},
    "dora": {"rank": 2},
    "adalora": {"rank": 3, "target_rank": 2},
    "ia3": {},
    "pissa": {"rank": 2},
}
NO_ADALORA = ("gpt2",)  # PEFT has none for its layers, and the file says that it is none of PEFT's
LABELS = ["a", "b", "c"]
IDS = [[2, 5, 6, 7, 8, 9, 10, 11], [2, 12, 6, 13, 5, 3, 3, 3]]
MASK = [[1] * 8, [1] * 5 + [0] * 3]


def write(family: str, method: str, folder: Path) -> None:
    import keras

    from kerasft.assembly import assemble
    from kerasft.config.schema import Config
    from kerasft.run_adapter import write_files
    from kerasft.tasks.registry import create_task

    preset = str(BASES / family)
    model = {"preset": preset, "max_length": 8, "peft": {"method": method, **METHODS[method]}}
    data = {"train": "x", "columns": {"text": "t", "label": "l"}}
    task = {"name": "text_classification", "labels": LABELS}
    config = Config.model_validate({"name": "t", "task": task, "model": model, "data": data})
    made = create_task(config, {"labels": LABELS})
    assembled = assemble(config, made, preset=preset)
    assert assembled.method is not None
    for place, weight in enumerate(assembled.model.trainable_weights):
        drawn = keras.random.normal(weight.shape, seed=place)
        near_one = "ia3" in weight.path or "magnitude" in weight.path
        weight.assign(weight * (1.0 + 0.3 * drawn) if near_one else 0.3 * drawn)
    ids, mask = np.array(IDS, np.int32), np.array(MASK, np.int32)
    model = assembled.model if family in WITH_HEAD else assembled.backbone
    features = {name: mask if "mask" in name else ids if "token" in name else 0 * ids for name in model.input}
    before = _outputs(model, features)
    with assembled.method.merged():
        found = _outputs(model, features)
    assert np.abs(found - before).max() > 1e-2
    folder.mkdir(parents=True)
    write_files(assembled, made, folder)
    (folder / "expected.json").write_text(json.dumps(found.tolist()), encoding="utf-8")


def _outputs(model, features) -> np.ndarray:
    found = model(features)
    found = found.get("sequence_output") if isinstance(found, dict) else found
    return np.array(found)


def check(family: str, folder: Path) -> float:
    """The largest difference."""
    import peft
    import torch
    import transformers

    base = transformers.AutoModelForSequenceClassification.from_pretrained(str(BASES / family), num_labels=len(LABELS))
    base.config.pad_token_id = 3  # of texts that are padded, which the hidden states do not depend on
    loaded = peft.PeftModel.from_pretrained(base, str(folder)).eval()
    with torch.no_grad():
        outputs = loaded(input_ids=torch.tensor(IDS), attention_mask=torch.tensor(MASK), output_hidden_states=True)
    expected = np.array(json.loads((folder / "expected.json").read_text(encoding="utf-8")))
    if family in WITH_HEAD:
        return float(np.abs(outputs.logits.numpy() - expected).max())
    rows = np.array(MASK, bool)  # of padding nobody reads anything
    return float(np.abs(outputs.hidden_states[-1].numpy() - expected)[rows].max())


def main(step: str, root: Path, families: list[str]) -> None:
    for family in families or FAMILIES:
        for method in METHODS:
            if method == "adalora" and family in NO_ADALORA:
                continue
            folder = root / f"{family}-{method}"
            if step == "write":
                write(family, method, folder)
            else:
                what = "logits" if family in WITH_HEAD else "hidden states"
                print(f"{family} {method}: {what} differ by {check(family, folder):.1e}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
