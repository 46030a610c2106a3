"""Hugging Face's side of `predict_throughput`: its text-classification pipeline over texts sorted by length.

    python hf_predict.py --model FOLDER --texts FILE --labels N --max-length N --batch-size N [--bf16] [--threads N]

A step is all texts of the file, a text a line, in; and a line of JSON each, in the file's order, out. Texts are sorted
once a step, longest first, each batch is padded to its longest; see pacing.py for the orders. The head is random: what
an answer costs is that of a trained one.
"""

import argparse
import json
import tempfile

import torch
from pacing import Pace
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline


def main():
    parser = argparse.ArgumentParser()
    for name in ("model", "texts"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("labels", "max-length", "batch-size"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    dtype = torch.bfloat16 if args.bf16 else torch.float32
    model = AutoModelForSequenceClassification.from_pretrained(args.model, num_labels=args.labels, dtype=dtype).eval()
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer)
    with open(args.texts, encoding="utf-8") as file:
        texts = file.read().splitlines()
    tokens = sum(map(len, tokenizer(texts, truncation=True, max_length=args.max_length)["input_ids"]))
    pace = Pace()
    pace.begin()
    while True:
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        asked = [texts[i] for i in order]
        found = classify(asked, batch_size=args.batch_size, truncation=True, max_length=args.max_length)
        placed = dict(zip(order, found))
        with tempfile.TemporaryFile("w") as file:
            file.writelines(json.dumps(placed[i]) + "\n" for i in range(len(texts)))
        pace.after_step(len(texts), tokens)


if __name__ == "__main__":
    main()
