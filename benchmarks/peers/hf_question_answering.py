"""The peer in extractive question answering: the Hugging Face Trainer and the usual search over start and end.

Contexts longer than --max-length become windows. Every question has an answer, so none is answered with "".
Runs in an environment of its own (torch, transformers, accelerate) and prints one JSON line last.

    python hf_question_answering.py --model DIR --train train.jsonl --validation validation.jsonl --test test.jsonl \\
        --max-length 384
"""

import collections
import json
import re
import string

import hf_training
import numpy as np
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer, DataCollatorWithPadding


def arguments():
    parser = hf_training.arguments(__doc__)
    parser.add_argument("--stride", type=int, default=128, help="pieces that neighbouring windows share")
    parser.add_argument("--best", type=int, default=20, help="starts and ends that are combined")
    parser.add_argument("--longest-answer", type=int, default=30, help="in pieces")
    return parser.parse_args()


def encode(args, tokenizer, rows):
    """rows -> windows: what the model reads, start and end of the first answer, `row`, and `spans` (characters)."""
    encoded = tokenizer(
        [row["question"].strip() for row in rows],
        [row["context"] for row in rows],
        truncation="only_second",
        max_length=args.max_length,
        stride=args.stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    windows = []
    for index, row in enumerate(encoded["overflow_to_sample_mapping"]):
        offsets, sides = encoded["offset_mapping"][index], encoded.sequence_ids(index)
        spans = [offset if side == 1 else None for offset, side in zip(offsets, sides)]
        start, end = target(spans, rows[row]["answers"][0])
        keys = ("input_ids", "attention_mask", "token_type_ids")
        inputs = {key: encoded[key][index] for key in keys}
        windows.append({**inputs, "start_positions": start, "end_positions": end, "row": row, "spans": spans})
    return windows


def target(spans, answer):
    """Characters of the answer -> its first and last piece; (0, 0), the first token, where it is not in the window."""
    first, last = answer["start"], answer["start"] + len(answer["text"])
    inside = [place for place, span in enumerate(spans) if span and span[0] < last and span[1] > first]
    whole = inside and spans[inside[0]][0] <= first and spans[inside[-1]][1] >= last
    return (inside[0], inside[-1]) if whole else (0, 0)


def answers(args, model, rows, windows, collator):
    """The best span of each row over all its windows."""
    found, best = [""] * len(rows), [-np.inf] * len(rows)
    for window, (starts, ends) in zip(windows, hf_training.predict(model, windows, collator)):
        spans, row = window["spans"], window["row"]
        for start in np.argsort(-starts[: len(spans)])[: args.best]:
            for end in np.argsort(-ends[: len(spans)])[: args.best]:
                fits = spans[start] and spans[end] and start <= end < start + args.longest_answer
                if fits and starts[start] + ends[end] > best[row]:
                    best[row] = starts[start] + ends[end]
                    found[row] = rows[row]["context"][spans[start][0] : spans[end][1]]
    return found


def normalise(text):
    """As SQuAD's evaluation script: lower case, no punctuation, no articles, single spaces."""
    text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def overlap(truth, found):
    """F1 of the words that two normalised texts share."""
    truth, found = truth.split(), found.split()
    shared = sum((collections.Counter(truth) & collections.Counter(found)).values())
    return 2 * shared / (len(truth) + len(found)) if truth and found else float(truth == found)


def scores(rows, found):
    truths = [[normalise(answer["text"]) for answer in row["answers"]] for row in rows]
    found = [normalise(answer) for answer in found]
    return {
        "f1": float(np.mean([max(overlap(t, answer) for t in truth) for truth, answer in zip(truths, found)])),
        "exact_match": float(np.mean([answer in truth for truth, answer in zip(truths, found)])),
    }


def main():
    args = arguments()
    hf_training.start(args)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    rows = {
        split: hf_training.read(path) for split in ("train", "validation", "test") if (path := getattr(args, split))
    }
    windows = {split: encode(args, tokenizer, each) for split, each in rows.items()}
    train = [{k: v for k, v in window.items() if k not in ("row", "spans")} for window in windows["train"]]
    collator = DataCollatorWithPadding(tokenizer)
    model = AutoModelForQuestionAnswering.from_pretrained(args.model, dtype=torch.float32)

    def measure(candidate, split):
        return scores(rows[split], answers(args, candidate, rows[split], windows[split], collator))

    chosen, speed = hf_training.train(
        args,
        model,
        train,
        collator,
        (lambda candidate: measure(candidate, "validation")["f1"]) if args.validation else None,
    )
    speed["examples_per_second"] *= len(rows["train"]) / len(train)  # questions, not windows
    print(json.dumps(measure(chosen, "test") | {"windows": len(train)} | speed))


if __name__ == "__main__":
    main()
