"""The peer in text classification (one label a text, or a number): the Hugging Face Trainer.

Runs in an environment of its own (torch, transformers, accelerate, scikit-learn) and prints one JSON line last.

    python hf_text_classification.py --model DIR --train train.jsonl --test test.jsonl --epochs 3 --learning-rate 1e-4
    python hf_text_classification.py ... --regression --text text_a --text-pair text_b
"""

import json

import hf_training
import numpy as np
import torch
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding


def arguments():
    parser = hf_training.arguments(__doc__)
    parser.add_argument("--text", default="text", help="column")
    parser.add_argument("--text-pair", help="column")
    parser.add_argument("--label", default="label", help="column")
    parser.add_argument("--regression", action="store_true")
    return parser.parse_args()


def encode(args, tokenizer, path, names):
    """names: the labels; None where the label is a number."""
    rows = hf_training.read(path)
    texts = [[row[column] for row in rows] for column in (args.text, args.text_pair) if column]
    encoded = tokenizer(*texts, truncation=True, max_length=args.max_length)
    labels = [float(row[args.label]) if names is None else names.index(row[args.label]) for row in rows]
    return [{**{key: encoded[key][i] for key in encoded}, "labels": label} for i, label in enumerate(labels)]


def scores(model, rows, collator, regression):
    truth = np.array([row["labels"] for row in rows])
    logits = np.stack(hf_training.predict(model, rows, collator))[:, 0]
    if regression:
        numbers = logits[:, 0]
        return {
            "spearman": float(spearmanr(truth, numbers)[0]),
            "pearson": float(pearsonr(truth, numbers)[0]),
        }
    found = logits.argmax(-1)
    return {"accuracy": accuracy_score(truth, found), "macro_f1": f1_score(truth, found, average="macro")}


def main():
    args = arguments()
    hf_training.start(args)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    names = None if args.regression else sorted({row[args.label] for row in hf_training.read(args.train)})
    train, test = (encode(args, tokenizer, path, names) for path in (args.train, args.test))
    validation = encode(args, tokenizer, args.validation, names) if args.validation else None
    model = AutoModelForSequenceClassification.from_pretrained(
        args.model,
        num_labels=1 if args.regression else len(names),
        problem_type="regression" if args.regression else "single_label_classification",
        dtype=torch.float32,
    )
    collator = DataCollatorWithPadding(tokenizer)
    headline = "spearman" if args.regression else "macro_f1"

    def score(candidate):
        return scores(candidate, validation, collator, args.regression)[headline]

    chosen, speed = hf_training.train(args, model, train, collator, score if validation else None)
    print(json.dumps(scores(chosen, test, collator, args.regression) | speed))


if __name__ == "__main__":
    main()
