"""SciTLDR's abstracts and summaries as dialogues of two turns, in the columns of configs/dailydialog-smollm2.yaml.

    python configs/scitldr_as_chat.py data/scitldr/train.jsonl data/scitldr/chat-train.jsonl

Then, from a run of that config:

    kerasft continue runs/dailydialog-smollm2 data/scitldr/chat-train.jsonl continual.method=replay --gate 0.02
"""

import json
import sys
from pathlib import Path

ASK = "Summarise this abstract in one sentence.\n\n"


def main(source: str, target: str) -> None:
    rows = [json.loads(line) for line in Path(source).read_text(encoding="utf-8").split("\n") if line.strip()]
    dialogues = [{"turns": [ASK + row["document"], row["summary"]]} for row in rows]
    lines = [json.dumps(dialogue, ensure_ascii=False) + "\n" for dialogue in dialogues]
    Path(target).write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
