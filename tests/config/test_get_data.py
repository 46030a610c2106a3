"""configs/get_data.py makes the rows that the recipes read of the files as their sources have them."""

import importlib.util
import json
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "configs" / "get_data.py"
SPEC = importlib.util.spec_from_file_location("get_data", FILE)
get_data = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(get_data)

SPLITS, PARTS = ("train", "validation", "test"), ("train", "dev", "test")
CLINC = {f"{kind}{part}": [[kind + part, "x"]] for part in ("train", "val", "test") for kind in ("", "oos_")}
SEMEVAL = """1\t"The <e1>a</e1> in 'the' <e2>b</e2>."
Cause-Effect(e2,e1)
Comment: x

2\t"An <e1>c</e1> "of" <e2>d</e2>"
Other
Comment:

"""
WEIBO = "李0\tI-PER.NAM\n开1\tI-PER.NAM\n，0\tO\n"
ENGLISH = "Hi . __eou__ Hello . __eou__ Bye .\nSeen ? __eou__ Yes . __eou__ Ah\n"
PAPER = {"source": ["One.", "Two.\n"], "target": ["T.", "U."]}
# name -> files as the sources have them (the beginnings of some), split -> rows
SMALL = {
    "banking77": (
        {
            "banking_data/train.csv": 'text,category\nIs my card lost?,card_arrival\n"Hello, I want\nto know",top_up\n',
            "banking_data/test.csv": "text,category\nHow?,pin_blocked\n",
        },
        {
            "train": [
                {"text": "Is my card lost?", "label": "card_arrival"},
                {"text": "Hello, I want\nto know", "label": "top_up"},
            ],
            "test": [{"text": "How?", "label": "pin_blocked"}],
        },
    ),
    "stsb": (
        {f"data/stsb-en-{split}.csv": 'A boy.,"A boy, sitting.",2.615\n' for split in PARTS},
        dict.fromkeys(SPLITS, [{"text_a": "A boy.", "text_b": "A boy, sitting.", "label": 2.615}]),
    ),
    "davidson": (
        {
            "data/labeled_data.csv": ",count,hate_speech,offensive_language,neither,class,tweet\n"
            "0,3,0,0,0,0,tweet 0\n1,3,0,0,0,1,tweet 1\n2,3,0,0,0,2,tweet 14\n"
        },
        {
            "train": [{"text": "tweet 0", "label": "hate"}],
            "validation": [{"text": "tweet 1", "label": "offensive"}],
            "test": [{"text": "tweet 14", "label": "neither"}],
        },
    ),
    "go_emotions": (
        {
            "data/original/labels.txt": "admiration\namusement\nanger\n",
            "data/original/train.tsv": "So good!\t0,1\teaxyz\n",
            "data/original/dev.tsv": "No.\t2\teaxyz\n",
            "data/original/test.tsv": "Ha\t1\teaxyz\n",
        },
        {
            "train": [{"text": "So good!", "labels": ["admiration", "amusement"]}],
            "validation": [{"text": "No.", "labels": ["anger"]}],
            "test": [{"text": "Ha", "labels": ["amusement"]}],
        },
    ),
    "clinc150_in_scope": (
        {"data/data_full.json": json.dumps(CLINC)},
        {
            "train": [{"text": "train", "label": "x"}],
            "validation": [{"text": "val", "label": "x"}],
            "test": [{"text": "test", "label": "x"}],
        },
    ),
    "clinc150": (
        {"data/data_full.json": json.dumps(CLINC)},
        {
            split: [{"text": key, "label": "x"}, {"text": f"oos_{key}", "label": "x"}]
            for split, key in (("train", "train"), ("validation", "val"), ("test", "test"))
        },
    ),
    "semeval2010_task8": (
        {
            f"SemEval2010_task8_all_data/{path}": SEMEVAL
            for path in (
                "SemEval2010_task8_training/TRAIN_FILE.TXT",
                "SemEval2010_task8_testing_keys/TEST_FILE_FULL.TXT",
            )
        },
        dict.fromkeys(
            ("train", "test"),
            [
                {"id": 1, "text": "The <e1>a</e1> in 'the' <e2>b</e2>.", "label": "Cause-Effect(e2,e1)"},
                {"id": 2, "text": 'An <e1>c</e1> "of" <e2>d</e2>', "label": "Other"},
            ],
        ),
    ),
    "wnut17": (
        dict.fromkeys(
            ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"),
            "on\tO\nRedondo\tB-location\n\n\nhi\tO\n",
        ),
        dict.fromkeys(
            SPLITS,
            [{"tokens": ["on", "Redondo"], "tags": ["O", "B-location"]}, {"tokens": ["hi"], "tags": ["O"]}],
        ),
    ),
    "weibo_ner": (
        {f"data/weiboNER_2nd_conll.{split}": WEIBO for split in PARTS},
        dict.fromkeys(
            SPLITS,
            [{"tokens": ["李", "开", "，"], "tags": ["B-PER.NAM", "I-PER.NAM", "O"]}],
        ),
    ),
    "scitldr": (
        {
            f"SciTLDR-Data/SciTLDR-A/{split}.jsonl": json.dumps(PAPER) + "\n"
            for split in PARTS
        },
        dict.fromkeys(SPLITS, [{"document": "One. Two.", "summary": "T."}]),
    ),
    "dailydialog": (
        {
            "data/1k_part_data/dialogues_text_En.txt": ENGLISH,
            "data/en_dev_human.txt": "Seen ? __eou__ Yes . __eou__ Oh __eou__\n",
            "data/en_test_human.txt": "A __eou__ B\n",
        },
        {
            "train": [{"turns": ["Hi .", "Hello .", "Bye ."]}],
            "validation": [{"turns": ["Seen ?", "Yes .", "Oh"]}],
            "test": [{"turns": ["A", "B"]}],
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_rows(name, tmp_path):
    files, splits = SMALL[name]
    said = get_data.get(name, files.__getitem__, tmp_path)
    for split, rows in splits.items():
        written = (tmp_path / name / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line) for line in written] == rows
    assert all("the recipe was measured with" in line for line in said)


def test_no_sentence_of_either_language_is_in_two_splits():
    pairs = [(f"e{i % 40}", f"c{i % 70}") for i in range(0, 4000, 3)] + [(f"a{i}", f"b{i}") for i in range(500)]
    text = "".join(f"{english}\t{chinese}\tCC-BY\n" for english, chinese in pairs)
    splits = get_data.tatoeba_en_zh(lambda path: text)
    assert sum(map(len, splits.values())) == len(pairs) and all(splits.values())
    for language in ("source", "target"):
        seen = [{row[language] for row in rows} for rows in splits.values()]
        assert sum(map(len, seen)) == len(set.union(*seen))


def test_questions_without_an_answer_and_articles_of_training_are_left_out(monkeypatch):
    def squad(*titles):
        qas = [
            {"id": "1", "question": "Q?", "answers": [{"text": "b", "answer_start": 2}] * 2},
            {"id": "2", "question": "R?", "answers": []},
        ]
        return json.dumps({"data": [{"title": t, "paragraphs": [{"context": "a b", "qas": qas}]} for t in titles]})

    monkeypatch.setattr(get_data, "download", lambda *source: squad("Normans", "Kenya"))
    splits = get_data.squad_small(lambda path: squad("Normans", "Warsaw"))
    assert {split: [row["title"] for row in rows] for split, rows in splits.items()} == {
        "train": ["Warsaw"], "validation": ["Normans"], "test": ["Kenya"],
    }  # fmt: skip
    assert splits["train"][0]["answers"] == [{"text": "b", "start": 2}]


def test_texts_are_kept_as_they_are(tmp_path):
    text = "x" * 1003857 + "y" * 55825 + "z" * 55712
    assert not any("measured" in line for line in get_data.get("tinyshakespeare", lambda path: text, tmp_path))
    assert (tmp_path / "tinyshakespeare" / "test.txt").read_text() == "z" * 55712


def test_names_that_there_are_not(capsys):
    assert get_data.main(["bankng77"]) == 2
    assert get_data.main([]) == 2
    assert capsys.readouterr().err.count("there are banking77, clinc150") == 2
