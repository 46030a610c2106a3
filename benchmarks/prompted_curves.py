"""Test accuracy of prompted models at 0 to 64 labelled rows a label, on two sets of few labels.

    python -m benchmarks.prompted_curves --write data/topics --data ../shared/data
    kerasft train configs/masked-lm-banking77.yaml name=mlm "data.train=[data/topics/r8/train.jsonl,
        data/topics/news/train.jsonl]" data.test=data/topics/news/test.jsonl
    python -m benchmarks.prompted_curves --data data/topics/r8 --masked-lm run:runs/mlm >> curves.jsonl
    python -m benchmarks.learning_curves --data data/topics/r8 --ways head,texts,self,contrastive,fine-tuning
        --max-length 128 >> curves.jsonl

`--write` makes the sets: Reuters R8 (eight topics) and news (four; some labels of train are wrong), texts cut to their
first 300 characters, 500 rows of test, and labels.json with a word for each label. Each line is JSON like those of
`learning_curves`, which draws them. Rows of a draw are the same there and here. Ways:

cloze: `prompting.method: masked_lm`; without a row as it is, then trained (PET), from 4 rows on, of which a quarter
validates, in 320 passes over one row of each label, or 5 over all; soft-prompt: twenty vectors before the text are
trained instead of the model, as long; in-context:
SmolLM2-135M-Instruct, not trained, with the four rows of the draw that are most like a text in its prompt, for R8 by
the phrases of `configs/reuters-r8-smollm2.yaml`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from benchmarks.label_scores import CUT, read_set
from benchmarks.learning_curves import drawn
from benchmarks.sides import ROOT, run_kerasft
from kerasft.config.load import load_config

LABELS = {
    "r8": {
        "acq": "acquisition", "crude": "oil", "earn": "earnings", "grain": "grain", "interest": "interest",
        "money-fx": "currency", "ship": "ships", "trade": "trade",
    },
    "news": {"Business": "business", "Sci/Tech": "technology", "Sports": "sports", "World": "politics"},
}  # fmt: skip
TESTED, SHOWN = 500, 4
WAYS = {"cloze": 4, "soft-prompt": 4, "in-context": 1}  # the fewest rows that it learns from
PASSES = 320  # over one row of each label


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a set; with --write, the folder of noisy_news")
    parser.add_argument("--write", type=Path, help="a folder for the sets")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--shots", default="0,1,2,4,8,16,32,64")
    parser.add_argument("--draw", type=int, default=0)
    parser.add_argument("--masked-lm", help="run:FOLDER of a run of masked_lm, for cloze and soft-prompt")
    args = parser.parse_args()
    if args.write:
        for name in LABELS:
            write_set(name, args.data, args.write / name)
        return
    splits = {split: [json.loads(line) for line in open(args.data / f"{split}.jsonl")] for split in ("train", "test")}
    texts = json.loads((args.data / "labels.json").read_text(encoding="utf-8"))
    for way in args.ways.split(","):
        for shots in map(int, args.shots.split(",")):
            if 0 < shots < WAYS[way] or (shots == 0 and way == "soft-prompt"):
                continue
            rows = [splits["train"][row] for row in drawn(splits["train"], shots, args.draw)] if shots else []
            found = accuracy(config_of(way, texts, rows, shots, args.masked_lm), rows, splits["test"])
            row = {"data": args.data.name, "way": way, "shots": shots, "accuracy": found, "deviation": 0.0}
            print(json.dumps({**row, "draws": [found], "draw": args.draw}), flush=True)
            print(way, shots, found, file=sys.stderr, flush=True)


def write_set(name: str, data: Path, folder: Path) -> None:
    """train.jsonl, test.jsonl and labels.json."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "test"):
        rows = sorted(set(read_set(name, split, data)))
        random.Random(0).shuffle(rows)
        rows = rows[:TESTED] if split == "test" else rows
        lines = [json.dumps({"text": text[:CUT].strip(), "label": label}) + "\n" for text, label in rows]
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / "labels.json").write_text(json.dumps(LABELS[name]), encoding="utf-8")


def config_of(way: str, texts: dict[str, str], rows: list[dict], shots: int, masked_lm: str | None) -> dict[str, Any]:
    """A config of a way, without its data."""
    task = {"name": "text_classification", "labels": sorted(texts), "label_texts": texts}
    if way == "in-context":
        decoder = load_config(ROOT / "configs" / "reuters-r8-smollm2.yaml")
        if set(decoder.task.labels) == set(texts):  # R8, whose phrases there were chosen for this decoder
            task["label_texts"] = decoder.task.label_texts
        prompting = {"method": "causal_lm", "template": decoder.prompting.template, "calibration": "content_free"}
        shown = {"demonstrations": min(SHOWN, len(rows)), "choose": "similarity"} if rows else {}
        model = {"preset": decoder.model.preset, "max_length": 1024}
        return {"task": task, "model": model, "prompting": {**prompting, **shown}}
    if masked_lm is None:
        sys.exit(f"error: --masked-lm: {way} asks a masked language model; name one, such as run:runs/mlm")
    made: dict[str, Any] = {
        "task": task,
        "model": {"preset": masked_lm, "max_length": 128},
        "prompting": {"method": "masked_lm", "template": "{text} This is about {mask}."},
    }
    if rows:
        rate = 3e-2 if way == "soft-prompt" else 1e-4
        made["training"] = {"epochs": max(5, PASSES // shots), "batch_size": 16, "precision": "mixed_bfloat16"}
        made["training"]["optimizer"] = {"learning_rate": rate}
        if way == "soft-prompt":
            made["model"]["peft"] = {"method": "prompt", "tokens": 20}
    return made


def accuracy(config: dict[str, Any], rows: list[dict], test: list[dict]) -> float:
    """Of a run of the program."""
    with tempfile.TemporaryDirectory() as name:
        folder, data = Path(name), {"columns": {"text": "text", "label": "label"}}
        for split, part in (("train", rows), ("test", test)):
            if part:
                (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
                data[split] = str(folder / f"{split}.jsonl")
        if "training" in config:
            data["validation"] = 0.25
        (folder / "config.yaml").write_text(yaml.safe_dump({"name": "benchmark", **config, "data": data}))
        return round(run_kerasft(folder / "config.yaml", 0)["accuracy"], 4)


if __name__ == "__main__":
    main()
