"""Makes tests/fixtures/captum.json: attributions by Captum on the tiny random models of tests/fixtures/hugging_face.

Not part of the tests: it needs torch, transformers and captum in an environment of their own. The fixture was made with
the versions that it names.

    python benchmarks/peers/captum_fixtures.py

The number that is explained is a logit of a linear layer on the mean of the last hidden states. Its weights are drawn
here and stand in the fixture.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import captum
import numpy as np
import torch
import transformers
from captum.attr import FeatureAblation, LayerGradientXActivation, LayerIntegratedGradients

FIXTURES = Path(__file__).parents[2] / "tests" / "fixtures"
FAMILIES = ("bert", "distilbert")
TEXTS = ["A nice film, a good film!", "bad films don't end"]
LABELS, POINTS, SCALE = 3, 32, 40.0


def logits_of(model: torch.nn.Module, kernel: torch.Tensor, bias: torch.Tensor):
    """(rows, tokens) ids and their mask -> (rows, labels)."""

    def forward(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask[..., None].to(hidden.dtype)
        return (hidden * weight).sum(1) / weight.sum(1) @ kernel + bias

    return forward


def explained(family: str) -> dict[str, Any]:
    folder = FIXTURES / "hugging_face" / family
    model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    draw = np.random.default_rng(0)
    kernel = (SCALE * draw.normal(size=(model.config.hidden_size, LABELS))).astype(np.float32)
    bias = draw.normal(size=LABELS).astype(np.float32)
    forward = logits_of(model, torch.tensor(kernel), torch.tensor(bias))
    table, rows = model.get_input_embeddings(), []
    for text in TEXTS:
        read = tokenizer(text, return_tensors="pt")
        ids, mask = read["input_ids"], read["attention_mask"]
        special = torch.tensor(tokenizer.get_special_tokens_mask(ids[0].tolist(), already_has_special_tokens=True))
        base = torch.where(special[None] > 0, ids, tokenizer.mask_token_id)
        target = int(forward(ids, mask).argmax())
        given = {"target": target, "additional_forward_args": (mask,)}
        path = LayerIntegratedGradients(forward, table).attribute(
            ids, base, n_steps=POINTS, method="gausslegendre", **given
        )
        slope = LayerGradientXActivation(forward, table).attribute(ids, **given)
        hidden = FeatureAblation(forward).attribute(ids, base, **given)
        rows.append(
            {
                "text": text,
                "ids": ids[0].tolist(),
                "label": target,
                "value": float(forward(ids, mask)[0, target]),
                "baseline": float(forward(base, mask)[0, target]),
                "integrated_gradients": path.sum(-1)[0].tolist(),
                "gradient_times_input": slope.sum(-1)[0].tolist(),
                "occlusion": hidden[0].double().tolist(),
            }
        )
    return {"kernel": kernel.tolist(), "bias": bias.tolist(), "rows": rows}


def main() -> None:
    versions = {module.__name__: module.__version__ for module in (captum, torch, transformers)}
    found = {"versions": versions, "points": POINTS, "families": {family: explained(family) for family in FAMILIES}}
    (FIXTURES / "captum.json").write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
