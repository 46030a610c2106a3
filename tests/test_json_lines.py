"""Files with a JSON value a line, whatever separators of lines their texts have."""

import json

from kerasft.json_lines import read_json_lines


def test_a_text_with_separators_of_its_own_stays_one_row(tmp_path):
    rows = [{"text": f"a{mark}b"} for mark in ("\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\n", "\r\n")]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "rows.jsonl").write_bytes(lines.encode())
    assert read_json_lines(tmp_path / "rows.jsonl") == rows
    (tmp_path / "none.jsonl").write_bytes(b"")
    assert read_json_lines(tmp_path / "none.jsonl") == []
