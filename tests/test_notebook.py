"""The notebook of the docs runs from top to bottom, in a kernel of this environment, from the package index alone."""

import json
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "docs" / "notebooks" / "quickstart.ipynb"


@pytest.mark.real
@pytest.mark.slow
def test_the_quickstart_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(NOTEBOOK.parents[2]), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(tmp_path)}}).execute()
    metrics = json.loads((tmp_path / "runs" / "quickstart" / "metrics.json").read_text())
    assert metrics["validation"]["accuracy"] > 0.7  # half of the texts have the most frequent label
    assert (tmp_path / "saved_models" / "quickstart" / "1" / "saved_model.pb").exists()
    said = {cell.id: "".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells[2::2]}
    assert [line.split()[0] for line in said["ask"].splitlines()] == ["acq", "earn"], said
    assert [line.split()[0] for line in said["keras"].splitlines()] == ["good", "bad"], said
    assert not any("tensorflow:" in text for text in said.values())  # TensorFlow's own log is held back


def test_the_notebook_is_kept_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code and not any(cell.outputs or cell.execution_count for cell in code)
