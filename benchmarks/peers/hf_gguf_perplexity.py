"""Perplexity of windows of token ids by transformers' own reading of a GGUF file, in float32.

python hf_gguf_perplexity.py --model FILE.gguf --windows FILE.json

Prints the figures as JSON: perplexity, the mean loss of each window in nats, seconds of processor time.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--windows", required=True, type=Path, help="a list of lists of ids")
    args = parser.parse_args()
    windows = json.loads(args.windows.read_text(encoding="utf-8"))
    folder, name = str(args.model.parent), args.model.name
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
    start = time.process_time()
    losses = [loss(model, window) for window in windows]
    tokens = [len(window) - 1 for window in windows]
    mean = sum(each * count for each, count in zip(losses, tokens)) / sum(tokens)
    told = {"perplexity": math.exp(mean), "losses": losses, "seconds": time.process_time() - start}
    print(json.dumps(told))


@torch.no_grad()
def loss(model, window):
    ids = torch.tensor([window])
    logits = model(ids[:, :-1]).logits[0]
    return float(torch.nn.functional.cross_entropy(logits, ids[0, 1:]))


if __name__ == "__main__":
    main()
