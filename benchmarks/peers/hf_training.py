"""What the peers share: the Hugging Face Trainer at its best on a CPU, the choice of weights, and prediction.

bfloat16 matrix products over float32 weights, rows of like length batched together, padded to the longest. With a
validation file the weights of the best epoch are kept, as kerasft does; without one the last.
"""

import argparse
import collections
import copy
import dataclasses
import inspect
import json
import math
import os
import tempfile
import time

import numpy as np
import pacing
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed


def arguments(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder in Hugging Face's layout")
    parser.add_argument("--train", required=True, help="JSON Lines")
    parser.add_argument("--validation", help="JSON Lines; chooses the epoch")
    parser.add_argument("--test", required=True, help="JSON Lines")
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--warmup", type=float, default=0.1, help="share of all steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="fewer where other work shares the cores")
    parser.add_argument("--pad-to-max", action="store_true", help="each row to --max-length, in random order")
    parser.add_argument("--float32", action="store_true", help="matrix products, too")
    parser.add_argument("--paced", action="store_true", help="take the steps that are ordered; see pacing.py")
    return parser


def start(args):
    set_seed(args.seed)
    torch.set_num_threads(args.threads)


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def train(args, model, rows, collator, score=None):
    """Args: rows, dicts with input_ids and labels; score, weights -> the higher the better, asked after each epoch.

    Returns the chosen weights as a float32 model, and the figures of speed: seconds of Trainer.train with its
    validations, the other two without them.
    """
    steps = math.ceil(len(rows) / args.batch_size) * args.epochs
    settings = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        num_train_epochs=args.epochs,
        learning_rate=args.learning_rate,
        weight_decay=0.01,
        per_device_train_batch_size=args.batch_size,
        warmup_steps=int(args.warmup * steps),
        use_cpu=True,
        bf16=not args.float32,
        seed=args.seed,
        save_strategy="no",
        report_to=[],
        logging_steps=50,
        disable_tqdm=True,
        **({} if args.pad_to_max else _grouping()),
    )
    if args.pad_to_max:
        collator = dataclasses.replace(collator, padding="max_length", max_length=args.max_length)
    best = BestEpoch(score)
    callbacks = [best] if score else []
    if args.paced:
        callbacks, collator = [paced := Paced(collator)], paced.collate
    trainer = ShuffledTrainer(
        model=model, args=settings, train_dataset=rows, data_collator=collator, callbacks=callbacks
    )
    begun = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - begun
    stepping = seconds - best.seconds
    tokens = sum(len(row["input_ids"]) for row in rows) * args.epochs
    return best.model or snapshot(model), {
        "seconds": seconds,
        "examples_per_second": len(rows) * args.epochs / stepping,
        "real_tokens_per_second": tokens / stepping,
    }


def _grouping():
    """The argument that groups rows by length has had two names."""
    known = inspect.signature(TrainingArguments.__init__).parameters
    return {"group_by_length": True} if "group_by_length" in known else {"train_sampling_strategy": "group_by_length"}


class ShuffledTrainer(Trainer):
    """The Trainer runs each stretch of 50 batches from the longest rows to the shortest; here batches are shuffled.

    Where length tells the label, as in Reuters, each stretch would otherwise end on batches of one label.
    """

    def _get_train_sampler(self, *args, **kwargs):
        return ShuffledBatches(super()._get_train_sampler(*args, **kwargs), self.args.train_batch_size)


class ShuffledBatches(torch.utils.data.Sampler):
    def __init__(self, sampler, batch_size):
        self.sampler, self.batch_size = sampler, batch_size

    def __len__(self):
        return len(self.sampler)

    def __iter__(self):
        rows = list(self.sampler)
        full = len(rows) // self.batch_size * self.batch_size
        batches = [rows[start : start + self.batch_size] for start in range(0, full, self.batch_size)]
        order = torch.randperm(len(batches)).tolist()
        return iter([row for index in order for row in batches[index]] + rows[full:])


class BestEpoch(TrainerCallback):
    def __init__(self, score):
        self.score, self.model, self.found, self.seconds = score, None, -math.inf, 0.0

    def on_epoch_end(self, args, state, control, model, **kwargs):
        begun = time.perf_counter()
        candidate = snapshot(model)
        found = self.score(candidate)
        if self.model is None or found > self.found:
            self.model, self.found = candidate, found
        self.seconds += time.perf_counter() - begun
        print(json.dumps({"epoch": state.epoch, "validation": found, "best": self.found}), flush=True)


class Paced(TrainerCallback):
    """Counts what it collates: the loader is ahead of the step, so the counts wait in order."""

    def __init__(self, collator):
        self.collator, self.pace, self.counts = collator, pacing.Pace(), collections.deque()

    def collate(self, rows):
        self.counts.append((len(rows), sum(len(row["input_ids"]) for row in rows)))
        return self.collator(rows)

    def on_train_begin(self, args, state, control, **kwargs):
        self.pace.begin()

    def on_step_end(self, args, state, control, **kwargs):
        self.pace.after_step(*self.counts.popleft())


def snapshot(model):
    """A float32 copy without the Trainer's autocast, which would round logits to 8 bits."""
    state = torch.random.get_rng_state()
    plain = type(model)(copy.deepcopy(model.config))
    torch.random.set_rng_state(state)
    plain.load_state_dict(model.state_dict())
    return plain.eval()


def predict(model, rows, collator, batch_size=64):
    """For each row, in order, its outputs: (outputs, ...) padded to the longest row of its batch."""
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]["input_ids"]))
    found = [None] * len(rows)
    for start in range(0, len(rows), batch_size):
        part = order[start : start + batch_size]
        keys = [key for key in rows[0] if key in ("input_ids", "attention_mask", "token_type_ids")]
        batch = collator.tokenizer.pad([{key: rows[index][key] for key in keys} for index in part], return_tensors="pt")
        with torch.inference_mode():
            outputs = model(**batch).to_tuple()
        stacked = np.stack([output.float().numpy() for output in outputs], axis=1)
        for index, output in zip(part, stacked):
            found[index] = output
    return found
