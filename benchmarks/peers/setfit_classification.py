"""The peer in text classification with few rows: the package setfit, with its own head and recipe.

Runs in an environment of its own (torch, setfit, transformers below 5) and prints one JSON line last.

    python setfit_classification.py --model DIR --train rows.jsonl --test test.jsonl [--iterations 20] [--seed 0]

Pairs are those of the paper: each text with `iterations` others of its label and as many of others.
"""

import argparse
import json

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer, models
from setfit import SetFitModel, Trainer, TrainingArguments
from sklearn.linear_model import LogisticRegression


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "train", "test"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    rows = [json.loads(line) for line in open(args.train, encoding="utf-8")]
    test = [json.loads(line) for line in open(args.test, encoding="utf-8")]
    words = models.Transformer(args.model, max_seq_length=args.max_length)
    pooling = models.Pooling(words.get_word_embedding_dimension(), "mean")  # as all-MiniLM was trained
    body = SentenceTransformer(modules=[words, pooling, models.Normalize()], device="cpu")
    model = SetFitModel(model_body=body, model_head=LogisticRegression(), normalize_embeddings=True)
    data = Dataset.from_list([{"text": row["text"], "label": row["label"]} for row in rows])
    settings = TrainingArguments(
        batch_size=args.batch_size,
        num_epochs=1,
        num_iterations=args.iterations,
        body_learning_rate=args.learning_rate,
        seed=args.seed,
        report_to="none",
        save_strategy="no",
    )
    Trainer(model=model, args=settings, train_dataset=data).train()
    found = [str(answer) for answer in model.predict([row["text"] for row in test], batch_size=64)]
    right = sum(answer == row["label"] for answer, row in zip(found, test))
    print(json.dumps({"accuracy": right / len(test)}))


if __name__ == "__main__":
    main()
