"""The peer: the Hugging Face Trainer at its best on a CPU (bfloat16, rows grouped by length, padded to the longest).

Runs in an environment of its own (torch, transformers, accelerate, scikit-learn) and prints one JSON line. `seconds` is
the call of Trainer.train alone.

    python hf_text_classification.py --model DIR --train train.jsonl --test test.jsonl --epochs 3 --learning-rate 1e-4
"""

import argparse
import inspect
import json
import math
import os
import tempfile
import time

import torch
from sklearn.metrics import accuracy_score, f1_score
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--train", required=True, help="JSON Lines with text and label")
    parser.add_argument("--test", required=True)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--warmup", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def read(path: str) -> tuple[list[str], list[str]]:
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row["text"] for row in rows], [row["label"] for row in rows]


def dataset(encoded: dict, labels: list[int]) -> list[dict]:
    return [
        {"input_ids": ids, "attention_mask": mask, "length": len(ids), "labels": label}
        for ids, mask, label in zip(encoded["input_ids"], encoded["attention_mask"], labels)
    ]


def grouping() -> dict:
    """The argument that groups rows by length has had two names."""
    known = inspect.signature(TrainingArguments.__init__).parameters
    return {"group_by_length": True} if "group_by_length" in known else {"train_sampling_strategy": "group_by_length"}


def main() -> None:
    args = arguments()
    set_seed(args.seed)
    torch.set_num_threads(os.cpu_count())
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    (train_texts, train_labels), (test_texts, test_labels) = read(args.train), read(args.test)
    names = sorted(set(train_labels))
    train = dataset(
        tokenizer(train_texts, truncation=True, max_length=args.max_length), [names.index(n) for n in train_labels]
    )
    test = dataset(
        tokenizer(test_texts, truncation=True, max_length=args.max_length), [names.index(n) for n in test_labels]
    )
    steps = math.ceil(len(train) / args.batch_size) * args.epochs
    settings = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        num_train_epochs=args.epochs,
        learning_rate=args.learning_rate,
        weight_decay=0.01,
        per_device_train_batch_size=args.batch_size,
        per_device_eval_batch_size=64,
        warmup_steps=int(args.warmup * steps),
        use_cpu=True,
        bf16=True,
        seed=args.seed,
        save_strategy="no",
        report_to=[],
        logging_steps=50,
        disable_tqdm=True,
        **grouping(),
    )
    model = AutoModelForSequenceClassification.from_pretrained(args.model, num_labels=len(names))
    trainer = Trainer(model=model, args=settings, train_dataset=train, data_collator=DataCollatorWithPadding(tokenizer))
    begun = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - begun
    found = trainer.predict(test)  # length grouping reorders rows: the labels come back with the predictions
    predicted, truth = found.predictions.argmax(-1), found.label_ids
    tokens = sum(row["length"] for row in train) * args.epochs
    result = {
        "accuracy": accuracy_score(truth, predicted),
        "macro_f1": f1_score(truth, predicted, average="macro"),
        "seconds": seconds,
        "examples_per_second": len(train) * args.epochs / seconds,
        "real_tokens_per_second": tokens / seconds,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
