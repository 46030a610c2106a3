"""transformers' side of `generation_throughput`: steps of training, or answers to a batch of prompts, on order.

    python hf_generation.py training|generation --model FILE.gguf [--rows 8] [--length 128] [--new 64]
        [--precision bfloat16]

Training: float32 weights, autocast to bfloat16, AdamW and clipping as the Hugging Face Trainer has them on a CPU with
`bf16`. Generation: `generate`, greedy, with its cache, weights in --precision. See pacing.py for the orders.
"""

import argparse
from pathlib import Path

import numpy as np
import pacing
import torch
from transformers import AutoModelForCausalLM


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("training", "generation"))
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--length", type=int, default=128, help="tokens of a row, or of a prompt")
    parser.add_argument("--new", type=int, default=64, help="tokens of an answer")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--threads", type=int, help="fewer where other work shares the cores")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    kept = "float32" if args.what == "training" else args.precision
    folder, name = str(args.model.parent), args.model.name
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=getattr(torch, kept))
    ids = np.random.default_rng(0).integers(10, model.config.vocab_size, (args.rows, args.length))
    work = (training if args.what == "training" else generation)(model, torch.tensor(ids), args)
    pace = pacing.Pace()
    pace.begin()
    while True:
        work()
        pace.after_step(args.rows, args.rows * (args.length if args.what == "training" else args.new))


def training(model, ids, args):
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01)
    model.train()

    def work():
        with torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bfloat16"):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return work


def generation(model, ids, args):
    model.eval()
    told = {"max_new_tokens": args.new, "min_new_tokens": args.new, "do_sample": False, "pad_token_id": 0}

    def work():
        with torch.no_grad():
            found = model.generate(ids, attention_mask=torch.ones_like(ids), **told)
        assert found.shape[1] == ids.shape[1] + args.new, found.shape

    return work


if __name__ == "__main__":
    main()
