"""The peer in token classification: tags on the first piece of each word, the Hugging Face Trainer.

A text that is longer than --max-length becomes several windows; a word's tag is that of the window where it stands
farthest from an edge. Runs in an environment of its own (torch, transformers, accelerate, scikit-learn, seqeval) and
prints one JSON line last.

    python hf_token_classification.py --model DIR --train train.jsonl --validation validation.jsonl --test test.jsonl
"""

import json

import hf_training
import torch
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2
from transformers import AutoModelForTokenClassification, AutoTokenizer, DataCollatorForTokenClassification


def arguments():
    parser = hf_training.arguments(__doc__)
    parser.add_argument("--stride", type=int, default=32, help="pieces that neighbouring windows share")
    return parser.parse_args()


def encode(args, tokenizer, rows, names):
    """rows -> windows: what the model reads, labels, and `words`: (row, word) of each piece that carries a tag."""
    encoded = tokenizer(
        [row["tokens"] for row in rows],
        is_split_into_words=True,
        truncation=True,
        max_length=args.max_length,
        stride=args.stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    windows = []
    for index, row in enumerate(encoded["overflow_to_sample_mapping"]):
        words, previous = [], None
        for word, (start, _) in zip(encoded.word_ids(index), encoded["offset_mapping"][index]):
            # A window may begin inside a word.
            first = word is not None and word != previous and (previous is not None or start == 0)
            words.append((row, word) if first else None)
            previous = word
        labels = [-100 if place is None else names.index(rows[row]["tags"][place[1]]) for place in words]
        keys = ("input_ids", "attention_mask", "token_type_ids")
        windows.append({**{key: encoded[key][index] for key in keys}, "labels": labels, "words": words})
    return windows


def tags(model, rows, windows, collator, names):
    found = [["O"] * len(row["tags"]) for row in rows]
    margins = [[-1] * len(row["tags"]) for row in rows]
    for window, (logits,) in zip(windows, hf_training.predict(model, windows, collator)):
        last = len(window["words"]) - 1
        for place, label in enumerate(logits[: last + 1].argmax(-1)):
            row, word = window["words"][place] or (None, None)
            if row is not None and min(place, last - place) > margins[row][word]:
                found[row][word], margins[row][word] = names[label], min(place, last - place)
    return found


def scores(model, rows, windows, collator, names):
    truth, found = [row["tags"] for row in rows], tags(model, rows, windows, collator, names)
    strict = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    return {
        "f1": float(f1_score(truth, found, **strict)),
        "precision": float(precision_score(truth, found, **strict)),
        "recall": float(recall_score(truth, found, **strict)),
        "conlleval_f1": float(f1_score(truth, found, zero_division=0)),
    }


def main():
    args = arguments()
    hf_training.start(args)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    rows = {
        split: hf_training.read(path) for split in ("train", "validation", "test") if (path := getattr(args, split))
    }
    types = {tag[2:] for row in rows["train"] for tag in row["tags"]} - {""}
    names = ["O", *(f"{prefix}-{kind}" for kind in sorted(types) for prefix in "BI")]
    windows = {split: encode(args, tokenizer, each, names) for split, each in rows.items()}
    train = [{key: value for key, value in window.items() if key != "words"} for window in windows["train"]]
    collator = DataCollatorForTokenClassification(tokenizer)
    model = AutoModelForTokenClassification.from_pretrained(args.model, num_labels=len(names), dtype=torch.float32)

    def measure(candidate, split):
        return scores(candidate, rows[split], windows[split], collator, names)

    chosen, speed = hf_training.train(
        args,
        model,
        train,
        collator,
        (lambda candidate: measure(candidate, "validation")["f1"]) if args.validation else None,
    )
    print(json.dumps(measure(chosen, "test") | speed))


if __name__ == "__main__":
    main()
