"""Every tutorial runs from top to bottom, and is committed with its outputs."""

import os
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

ROOT = Path(__file__).parents[1]
TUTORIALS = sorted((ROOT / "tutorials").glob("*.ipynb"))
SECONDS = 180  # for a whole notebook, the kernels compiled on the way (40 s)


def execute(notebook, folder, seconds=SECONDS):
    """Run all cells with this interpreter; the folder is where they write."""
    end = time.monotonic() + seconds
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        timeout_func=lambda cell: max(0.1, end - time.monotonic()),
    )
    client.execute()


def missing_outputs(notebook):
    """Say what a notebook lacks that was run from top to bottom and saved."""
    cells = [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]
    outputs = [output for cell in cells for output in cell.outputs]
    counts = [cell.execution_count for cell in cells]
    lacks = []
    if not outputs:
        lacks.append("no outputs")
    if counts != list(range(1, len(cells) + 1)):
        lacks.append(f"cells were not run once each, in order: {counts}")
    lacks += [f"{o.ename}: {o.evalue}" for o in outputs if o.output_type == "error"]
    return lacks


@pytest.fixture(autouse=True)
def source_tree(monkeypatch):
    """Let kernels import what the other tests test, as fast and as quietly."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def notebook_of(*sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return nbformat.v4.new_notebook(cells=cells)


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_tutorial_runs(path, tmp_path):
    execute(nbformat.read(path, as_version=4), tmp_path)


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_tutorial_is_committed_with_its_outputs(path):
    assert missing_outputs(nbformat.read(path, as_version=4)) == []


def test_the_kernel_is_this_interpreter_and_writes_elsewhere(tmp_path):
    notebook = notebook_of("import os, sys\nprint(sys.executable, os.getcwd())")
    execute(notebook, tmp_path)
    assert notebook.cells[0].outputs[0].text.split() == [sys.executable, str(tmp_path)]
    assert missing_outputs(notebook) == []


def test_a_failing_cell_is_seen(tmp_path):
    notebook = notebook_of("1 / 0")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        execute(notebook, tmp_path)
    assert missing_outputs(notebook) == ["ZeroDivisionError: division by zero"]


def test_the_time_is_for_the_whole_notebook(tmp_path):
    notebook = notebook_of(*["import time; time.sleep(1)"] * 20)
    with pytest.raises(CellTimeoutError, match="timed out"):
        execute(notebook, tmp_path, seconds=4)


def test_missing_outputs_are_seen():
    assert missing_outputs(notebook_of("1 + 1")) == [
        "no outputs",
        "cells were not run once each, in order: [None]",
    ]
