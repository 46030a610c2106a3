"""An audit as a user has it: page, figures and card, by the program; resumed; and refused where it can't be."""

import json
import re
from pathlib import Path

import pytest

from kerasft.audit import parts, program
from kerasft.audit.answers import answerable
from kerasft.config.schema import Config
from kerasft.evaluation.report.card import card_facts, model_card
from kerasft.run_card import write_card
from kerasft.runs import Run
from kerasft.tasks.registry import create_task

GROUPS = ("x", "y")
OPTIONS = ["--explained", "8", "--group", "who", "--mitigate", "counterfactual", "--words", "words.yaml"]
LISTS = "places: {field: [goal, score, match, team], house: [bank, price, market, stock]}"


@pytest.fixture(scope="module")
def audited(trained, tmp_path_factory):
    """A project whose run was audited, with a column of groups that the model never saw."""
    import shutil

    folder = tmp_path_factory.mktemp("audited") / "project"
    shutil.copytree(trained, folder)
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    for number, row in enumerate(rows):
        row["who"] = GROUPS[number % 2]
        row["text"] = row["text"]
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "words.yaml").write_text(LISTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert program.main(["runs/tiny", *OPTIONS]) == 0
    return folder


@pytest.fixture
def project_folder(audited, monkeypatch):
    monkeypatch.chdir(audited)
    return audited


def test_it_leaves_a_page_figures_and_a_card(project_folder):
    folder = project_folder / "runs" / "tiny" / "audit"
    found = json.loads((folder / "audit.json").read_text())
    assert {name for name in parts.PARTS if "skipped" in found[name]} == {"pairs", "questions"}
    changes = found["robustness"]["changes"]
    assert changes["upper_case"]["flipped"]["value"] == 0.0  # of an uncased tokenizer
    assert changes["typos"]["rows"] > 0 and "p" in changes["typos"]
    methods = found["faithfulness"]["methods"]
    assert set(methods) >= {"integrated_gradients", "random"} and methods["integrated_gradients"]["gap_95"] < 0.05
    assert found["bias"]["groups"]["column who"]["groups"]["x"]["rows"] == 17
    assert found["calibration"]["unknown_texts"]["scores"]["energy"]["auroc"] is not None
    assert methods["integrated_gradients"]["stability"]["value"] > 0 and "stability" not in methods["random"]
    assert found["faithfulness"]["new_head"]["same_answers"]["value"] > 0.5
    page = (folder / "audit.html").read_text()
    shown = re.sub(r'"http://www.w3.org/[^"]*"|xmlns\S+', "", page).split("</style>")[1]
    assert "<script" not in page and "http" not in shown
    for title in ("Robustness", "Worst slices", "Calibration", "Explanations", "Words that answers hang on", "Groups"):
        assert title in page
    card = (folder / "MODEL_CARD.md").read_text()
    assert card.startswith("---\n") and "pipeline_tag: text-classification" in card and "| typos |" in card
    assert json.loads((folder / "model_card.json").read_text())["audit"]["changes"]["typos"] is not None


def test_a_mitigation_is_shown_beside_the_run_without(project_folder):
    found = json.loads((project_folder / "runs/tiny/audit/audit.json").read_text())["mitigation"]
    run = Run.open(Path("runs/tiny-counterfactual"))
    assert run.config.data.mitigate.words == "words.yaml" and not run.config.export.enabled
    assert found["rows"]["added"] > 20 and found["answers"]["rows"] == 33
    exchange = found["exchange"]["places"]  # the words that labels are about: with both labels on all, less is sure
    assert exchange["before"]["value"] > 0.5 and exchange["after"]["value"] < exchange["before"]["value"]
    assert "A mitigation, before and after" in (project_folder / "runs/tiny/audit/audit.html").read_text()


def test_of_an_export_is_done_what_can_be_done_without_gradients(project_folder, capsys):
    assert program.main(["saved_models/tiny", "--explained", "4"]) == 0
    assert "an export, of which answers alone are audited" in capsys.readouterr().err
    folder = Path("saved_models/tiny/audit")
    found, of_run = (json.loads((each / "audit.json").read_text()) for each in (folder, Path("runs/tiny/audit")))
    assert found["run"] == of_run["run"] and found["robustness"]["changes"]["typos"]["rows"] > 0
    assert found["slices"]["right"] == of_run["slices"]["right"]
    for part in ("faithfulness", "shortcuts"):
        assert "an export has no gradients" in found[part]["skipped"]
    assert list(found["attacks"]["kinds"]) == ["characters"]
    assert "an export has no gradients" in (folder / "MODEL_CARD.md").read_text()


def test_a_card_has_no_figure_that_its_files_lack():
    interval = {"metric": "accuracy", "low": 0.5, "high": 1.0, "level": 0.95}
    run = {"metrics": {"test": {"accuracy": 0.875, "interval": interval}}}
    config = Config.model_validate(
        {
            "name": "t",
            "task": {"name": "text_classification"},
            "model": {"preset": "x"},
            "data": {"train": "x", "columns": {"text": "t", "label": "l"}},
        }
    )
    facts = card_facts(config, "text-classification", run)
    assert facts["figures"] == {"test": {"accuracy": {"value": 0.875, "low": 0.5, "high": 1.0, "level": 0.95}}}
    card = model_card(facts)
    assert "| test | accuracy | 0.8750 | 0.5000 to 1.0000 (95%) |" in card
    assert "Not measured; `kerasft audit` does." in card
    assert card.count("To be written by the provider") == 4


def test_a_card_has_no_audit_of_other_weights(project_folder, tmp_path):
    run = Run.open(Path("runs/tiny"))
    write_card(run, tmp_path)
    assert "| typos |" in (tmp_path / "MODEL_CARD.md").read_text()
    audit = run.load_json("audit/audit.json")
    write_card(run, tmp_path, audit | {"run": {"id": "another", "sha256": "0"}})
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert "Not measured; `kerasft audit` does." in card and "| typos |" not in card


def test_answers_in_a_text_are_judged_where_they_are_still_in_it():
    config = Config.model_validate(
        {
            "name": "t",
            "task": {"name": "token_classification"},
            "model": {"preset": "x"},
            "data": {"train": "x", "columns": {"tokens": "tokens", "tags": "tags"}},
        }
    )
    row = {"text": "Ann lives in Rome", "starts": [0, 13], "ends": [3, 17], "label": ["PER", "LOC"]}
    row |= {"word_starts": [], "word_ends": []}
    task = create_task(config)
    assert answerable(task, row, {"text": "ANN LIVES IN ROME"}) and answerable(task, row, {"text": "Ann livs in Rome"})
    assert not answerable(task, row, {"text": "Ann lives in Paris"})


def test_an_export_has_its_card(project_folder):
    card = (project_folder / "saved_models" / "tiny" / "MODEL_CARD.md").read_text()
    run = Run.open(Path("runs/tiny"))
    assert run.load_json("metrics.json")["training"]["sha256"] in card


def test_a_part_that_is_done_is_not_measured_again(project_folder, monkeypatch, capsys):
    def fail(subject):
        raise AssertionError("measured again")

    for name in parts.PARTS:
        monkeypatch.setitem(parts.PARTS, name, fail)
    assert program.main(["runs/tiny", *OPTIONS]) == 0
    assert "robustness: measured before" in capsys.readouterr().err
    with pytest.raises(AssertionError, match="measured again"):
        program.main(["runs/tiny", "--explained", "7", "--group", "who"])
    assert not (project_folder / "runs/tiny/audit/audit.json").read_text().startswith("null")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs/tiny", "--group", "age"], "--group age: data.test has no such column; there are: text, label, who"),
        (["runs/tiny", "--rows", "0"], "--rows: 0 is too few"),
        (["saved_models/tiny", "--mitigate", "reweigh"], "is an export, and a mitigation trains its run again"),
        (["runs/tiny", "--mitigate", "hope"], "--mitigate hope: there are counterfactual, reweigh"),
        (["runs/tiny", "--words", "nix.yaml"], "--words: nix.yaml: No such file or directory; name a YAML file"),
        (["http://host:8501/v1/models/tiny"], "an audit takes the run itself"),
    ],
)
def test_what_can_not_be_audited_is_said_in_a_line(project_folder, capsys, arguments, message):
    assert program.main(arguments) == 2
    assert message in capsys.readouterr().err
