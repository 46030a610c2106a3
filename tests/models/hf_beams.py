"""What transformers' beam search says of a random Llama: the numbers in hf_beams.json, which the tests compare with.

    python tests/models/hf_beams.py weights /tmp/tiny.gguf                                  # with kerasft
    python tests/models/hf_beams.py /tmp/tiny.gguf > tests/models/hf_beams.json             # torch, transformers, gguf

Made with transformers 5.23.0 and torch on a CPU, in float32.
"""

import json
import sys
from pathlib import Path

PROMPTS = [[5, 80, 3, 200], [17, 17, 260], [100], [40, 41, 42, 43, 44, 45]]
NEW = 8
CASES = [(2, 0.0, 1.0), (2, 1.0, 1.4), (3, 2.0, 1.0), (4, 0.0, 1.4), (4, 1.0, 1.0), (8, 1.0, 1.2)]


def write_weights(path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
    from tiny_gguf import undecided_weights, write_gguf

    write_gguf(path, "F32", tied=False, tensors=undecided_weights())


def main(path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_grad_enabled(False)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    cases = []
    for number, (beams, length_penalty, penalty) in enumerate(CASES):
        told = {"num_beams": beams, "length_penalty": length_penalty, "repetition_penalty": penalty}
        # What ends an answer is a token that some beam says, so that answers of several lengths compete.
        end = answer(model, PROMPTS[number % len(PROMPTS)], told, None)[1 + number % 4]
        cases.append(told | {"end": end, "answers": [answer(model, prompt, told, end) for prompt in PROMPTS]})
    print(json.dumps({"new": NEW, "prompts": PROMPTS, "cases": cases}))


def answer(model, prompt: list[int], told: dict, end: int | None) -> list[int]:
    """Ids behind the prompt, without what ends them."""
    import torch

    row = torch.tensor([prompt])
    # No token of the model's own ends an answer, nor does one fill it up.
    kept = {"eos_token_id": 999 if end is None else end, "pad_token_id": 998, "bos_token_id": None}
    plain = {"attention_mask": torch.ones_like(row), "do_sample": False, "early_stopping": False}
    found = model.generate(row, max_new_tokens=NEW, **plain, **told, **kept)
    said = found[0, len(prompt) :].tolist()
    return said[: next((place for place, token in enumerate(said) if token in (end, 998)), len(said))]


if __name__ == "__main__":
    write_weights(Path(sys.argv[2])) if sys.argv[1] == "weights" else main(Path(sys.argv[1]))
