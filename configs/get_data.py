"""Fetches the data of recipes in this folder: python configs/get_data.py NAME ... (without a name: lists them).

Files land in data/NAME/, where the recipes read them. Sources are files of public GitHub repositories at one commit
each; nothing else is asked. Standard library only. Rows are counted: where a count is not that of the data that the
recipes were measured on, the program says so.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

RAW = "https://raw.githubusercontent.com"
Rows = list[dict[str, Any]]
Splits = dict[str, "Rows | str"]  # split -> rows, or a text that is kept as it is
Fetch = Callable[[str], str]  # path in the repository -> its text


def each(paths: dict[str, str], rows: Callable[[str], Rows]) -> Callable[[Fetch], Splits]:
    """What makes the splits of a source with a file for each.

    Args:
        paths: split -> path in the repository.
        rows: text of a file -> its rows.
    """
    return lambda fetch: {split: rows(fetch(path)) for split, path in paths.items()}


def three(path: str) -> dict[str, str]:
    """Paths of three splits, which differ in a word: train, dev, test."""
    return {split: path.format(word) for split, word in (("train", "train"), ("validation", "dev"), ("test", "test"))}


def banking77(text: str) -> Rows:
    return [{"text": row["text"], "label": row["category"]} for row in csv.DictReader(io.StringIO(text, newline=""))]


def clinc150(fetch: Fetch) -> Splits:
    parts = json.loads(fetch("data/data_full.json"))

    def rows(name: str) -> Rows:
        return [{"text": text, "label": label} for text, label in [*parts[name], *parts[f"oos_{name}"]]]

    return {"train": rows("train"), "validation": rows("val"), "test": rows("test")}


def clinc150_in_scope(fetch: Fetch) -> Splits:
    parts = json.loads(fetch("data/data_full.json"))
    named = {"train": "train", "validation": "val", "test": "test"}
    return {split: [{"text": text, "label": label} for text, label in parts[name]] for split, name in named.items()}


def davidson(fetch: Fetch) -> Splits:
    """The source has no splits: a tenth of the tweets, chosen by their digest, is for test, another for validation."""
    splits: dict[str, Rows] = {"train": [], "validation": [], "test": []}
    for row in csv.DictReader(io.StringIO(fetch("data/labeled_data.csv"), newline="")):
        tenth = hashlib.sha256(row["tweet"].encode()).digest()[0] % 10
        label = ("hate", "offensive", "neither")[int(row["class"])]
        splits[("test", "validation")[tenth] if tenth < 2 else "train"].append({"text": row["tweet"], "label": label})
    return dict(splits)


def go_emotions(fetch: Fetch) -> Splits:
    names = fetch("data/original/labels.txt").split()

    def rows(text: str) -> Rows:
        fields = (line.split("\t") for line in lines(text))
        return [{"text": text, "labels": [names[int(i)] for i in ids.split(",")]} for text, ids, *_ in fields]

    return each(three("data/original/{}.tsv"), rows)(fetch)


def stsb(text: str) -> Rows:
    table = csv.reader(io.StringIO(text, newline=""))
    return [{"text_a": first, "text_b": second, "label": float(score)} for first, second, score in table]


def semeval2010_task8(text: str) -> Rows:
    found = re.findall(r'^(\d+)\t"(.*)"\s*\n(\S+)', text, re.MULTILINE)
    return [{"id": int(number), "text": text, "label": label} for number, text, label in found]


def weibo_ner(text: str) -> Rows:
    found = tagged(text)
    for row in found:
        row["tokens"] = [token[0] for token in row["tokens"]]  # what follows says how words are split
        row["tags"] = begun(row["tags"])
    return found


def scitldr(text: str) -> Rows:
    papers = map(json.loads, lines(text))
    return [{"document": " ".join(paper["source"]).strip(), "summary": paper["target"][0]} for paper in papers]


def dailydialog(fetch: Fetch) -> Splits:
    def dialogues(path: str) -> list[list[str]]:
        found = ([turn.strip() for turn in line.split("__eou__")] for line in lines(fetch(path)))
        return [[turn for turn in turns if turn] for turns in found]

    held_out = {"validation": dialogues("data/en_dev_human.txt"), "test": dialogues("data/en_test_human.txt")}
    openings = {tuple(turns[:2]) for split in held_out.values() for turns in split}
    found = dialogues("data/1k_part_data/dialogues_text_En.txt")
    train = [turns for turns in found if tuple(turns[:2]) not in openings]
    return {split: [{"turns": turns} for turns in found] for split, found in {"train": train, **held_out}.items()}


def tatoeba_en_zh(fetch: Fetch) -> Splits:
    """90 % to learn from, 5 % each to validate and to test on; sentences of a kind are in one split, both languages."""
    pairs = [tuple(line.split("\t")[:2]) for line in lines(fetch("cmn.txt"))]
    groups: dict[str, str] = {}  # sentence -> a sentence of its group; the first of a group is its own

    def first(sentence: str) -> str:
        while groups.setdefault(sentence, sentence) != sentence:
            sentence = groups[sentence]
        return sentence

    for english, chinese in pairs:
        groups[first(f"zh {chinese}")] = first(f"en {english}")
    splits: Splits = {"train": [], "validation": [], "test": []}
    for english, chinese in pairs:
        share = int(hashlib.sha1(first(f"en {english}").encode()).hexdigest(), 16) % 20
        split = {0: "validation", 1: "test"}.get(share, "train")
        splits[split].append({"source": english, "target": chinese})
    return splits


def tinyshakespeare(fetch: Fetch) -> Splits:
    text, ends = fetch("data/tinyshakespeare/input.txt"), (1003857, 1003857 + 55825)  # after blank lines
    return {"train": text[: ends[0]], "validation": text[ends[0] : ends[1]], "test": text[ends[1] :]}


def wikitext2(fetch: Fetch) -> Splits:
    folder = "word_language_model/data/wikitext-2"
    return {"validation": fetch(f"{folder}/valid.txt"), "test": fetch(f"{folder}/test.txt")}


VALIDATION_ARTICLES = {"Normans", "European_Union_law", "Scottish_Parliament", "Force"}


def squad_small(fetch: Fetch) -> Splits:
    """Half of SQuAD 2.0's dev articles to learn from and validate on, XQuAD's English questions of others to test."""
    found = list(questions(fetch("data/dev-v2.0.json")))
    train = [row for row in found if row["title"] not in VALIDATION_ARTICLES]
    seen = {row["title"] for row in found}
    others = questions(download("google-deepmind/xquad", XQUAD, "xquad.en.json"))
    return {
        "train": train,
        "validation": [row for row in found if row["title"] in VALIDATION_ARTICLES],
        "test": [row for row in others if row["title"] not in seen],
    }


def xquad(fetch: Fetch) -> Splits:
    return {f"test.{language}": list(questions(fetch(f"xquad.{language}.json"))) for language in ("en", "zh")}


def lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def questions(text: str) -> Iterator[dict[str, Any]]:
    """SQuAD's form -> a row for each question that has an answer."""
    for article in json.loads(text)["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                answers = {(answer["text"], answer["answer_start"]): None for answer in question["answers"]}
                if answers:
                    yield {
                        "id": question["id"],
                        "title": article.get("title", ""),
                        "context": paragraph["context"],
                        "question": question["question"],
                        "answers": [{"text": text, "start": start} for text, start in answers],
                    }


def tagged(text: str) -> Rows:
    """Lines of a token and a tag, a blank line between texts."""
    rows: Rows = []
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        fields = [line.split("\t") for line in block.split("\n") if line.strip()]
        if fields:
            rows.append({"tokens": [field[0] for field in fields], "tags": [field[-1].strip() for field in fields]})
    return rows


def begun(tags: Iterable[str]) -> list[str]:
    """I- tags that continue nothing become B-."""
    found: list[str] = []
    for tag in tags:
        before = found[-1][2:] if found else ""
        found.append(f"B-{tag[2:]}" if tag.startswith("I-") and before != tag[2:] else tag)
    return found


WNUT = {"train": "wnut17train.conll", "validation": "emerging.dev.conll", "test": "emerging.test.annotated"}
SEMEVAL = {
    "train": "SemEval2010_task8_all_data/SemEval2010_task8_training/TRAIN_FILE.TXT",
    "test": "SemEval2010_task8_all_data/SemEval2010_task8_testing_keys/TEST_FILE_FULL.TXT",
}
XQUAD = "7d30520c717524000f0d9d2f9c10a069acd9d285"
# Name -> repository, commit, what makes the splits, and the rows of each (of a text, its characters) when measured.
SOURCES: dict[str, tuple[str, str, Callable[[Fetch], Splits], dict[str, int]]] = {
    "banking77": (
        "PolyAI-LDN/task-specific-datasets",
        "57ec275d8078af65b7731c2a98be812d844a6d6b",
        each({"train": "banking_data/train.csv", "test": "banking_data/test.csv"}, banking77),
        {"train": 10003, "test": 3080},
    ),
    "clinc150": (
        "clinc/oos-eval",
        "828f8093932c8fe6ca7936c3d2e52903b1c523de",
        clinc150,
        {"train": 15100, "validation": 3100, "test": 5500},
    ),
    "clinc150_in_scope": (
        "clinc/oos-eval",
        "828f8093932c8fe6ca7936c3d2e52903b1c523de",
        clinc150_in_scope,
        {"train": 15000, "validation": 3000, "test": 4500},
    ),
    "dailydialog": (
        "liuzeming01/XDailyDialog",
        "6e7ecf54c9f169215b4b8c18995c7aac74117127",
        dailydialog,
        {"train": 951, "validation": 995, "test": 996},
    ),
    "davidson": (  # was measured on another draw of the same shares
        "t-davidson/hate-speech-and-offensive-language",
        "6a1e3f02522963d820e302c3ad48b189552c143b",
        davidson,
        {"train": 19826, "validation": 2479, "test": 2478},
    ),
    "go_emotions": (
        "monologg/GoEmotions-pytorch",
        "b75f9d3a8b76bc1060687925b04ca98a1b8ea66b",
        go_emotions,
        {"train": 43410, "validation": 5426, "test": 5427},
    ),
    "scitldr": (
        "allenai/scitldr",
        "5ccad9c00a60ad75c9e04abf7f27d0f53f983b20",
        each(three("SciTLDR-Data/SciTLDR-A/{}.jsonl"), scitldr),
        {"train": 1992, "validation": 619, "test": 618},
    ),
    "semeval2010_task8": (
        "roomylee/cnn-relation-extraction",
        "88110201473f18d0d4eb36108b159c0c4374591b",
        each(SEMEVAL, semeval2010_task8),
        {"train": 8000, "test": 2717},
    ),
    "squad_small": (
        "chrischute/squad",
        "85623adeb9e6639f145081fea9cae2d8f3a26379",
        squad_small,
        {"train": 2192, "validation": 718, "test": 838},
    ),
    "stsb": (
        "PhilipMay/stsb-multi-mt",
        "30de0dec4ee199b7f42351d3f1a0b19592955385",
        each(three("data/stsb-en-{}.csv"), stsb),
        {"train": 5749, "validation": 1500, "test": 1379},
    ),
    "tatoeba_en_zh": (
        "13luoyu/Transformer-machine-translation",
        "aa43963320ccfacebd1d3542deae559bbca58d03",
        tatoeba_en_zh,
        {"train": 26181, "validation": 1463, "test": 1511},
    ),
    "tinyshakespeare": (
        "karpathy/char-rnn",
        "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e",
        tinyshakespeare,
        {"train": 1003857, "validation": 55825, "test": 55712},
    ),
    "weibo_ner": (
        "hltcoe/golden-horse",
        "7a73c08e45ed94312af4ef2d97cc35a47d029e99",
        each(three("data/weiboNER_2nd_conll.{}"), weibo_ner),
        {"train": 1350, "validation": 270, "test": 270},
    ),
    "wikitext2": (
        "pytorch/examples",
        "77f55b912142e11fcfdf5b530231fb9c52f181e8",
        wikitext2,
        {"validation": 1120192, "test": 1255018},
    ),
    "wnut17": (
        "leondz/emerging_entities_17",
        "e52a2d2a71ac1a051ca2d532eef28653c5c02603",
        each(WNUT, tagged),
        {"train": 3394, "validation": 1009, "test": 1287},
    ),
    "xquad": ("google-deepmind/xquad", XQUAD, xquad, {"test.en": 1190, "test.zh": 1190}),
}


def download(repository: str, commit: str, path: str) -> str:
    """The text of one file of a repository."""
    with urllib.request.urlopen(f"{RAW}/{repository}/{commit}/{path}", timeout=60) as answer:
        return answer.read().decode("utf-8-sig").replace("\r\n", "\n")


def get(name: str, fetch: Fetch, root: Path) -> list[str]:
    """Writes data/NAME/; a line for each file.

    Args:
        name: of `SOURCES`.
        fetch: path in the repository -> its text.
        root: the folder data/.
    """
    _, _, make, measured = SOURCES[name]
    said = []
    (root / name).mkdir(parents=True, exist_ok=True)
    for split, rows in make(fetch).items():
        file = root / name / (f"{split}.txt" if isinstance(rows, str) else f"{split}.jsonl")
        text = rows if isinstance(rows, str) else "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        file.write_text(text, encoding="utf-8")
        wanted = measured.get(split, len(rows))
        note = "" if len(rows) == wanted else f"; the recipe was measured with {wanted:,}"
        said.append(f"{file}: {len(rows):,} {'characters' if isinstance(rows, str) else 'rows'}{note}")
    return said


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in SOURCES]
    if unknown or not names:
        asked = f"error: {unknown[0]}: no such data; " if unknown else "python configs/get_data.py NAME ...; "
        print(f"{asked}there are {', '.join(SOURCES)}", file=sys.stderr)
        return 2
    for name in names:
        repository, commit, _, _ = SOURCES[name]
        try:
            said = get(name, functools.partial(download, repository, commit), Path("data"))
        except (OSError, urllib.error.URLError) as error:
            print(f"error: {name}: github.com/{repository} at {commit}: {error}", file=sys.stderr)
            return 1
        print("\n".join(said))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
