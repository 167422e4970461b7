"""The README's Python runs as it stands, top to bottom, in one namespace."""

import re
from pathlib import Path

import qiskit_qep as qep

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_python_blocks_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # one block saves a state
    names = {}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "±" in printed
    assert names["gradient"].norm > 0.1
    assert names["measured"].raw.norm > 0.1
    assert len(BLOCKS) == 7


def test_first_example_learns(capsys):
    names = {}
    exec(compile(BLOCKS[0], "README.md", "exec"), names)
    assert names["state"].loss < 0.1


def test_the_hardware_example_runs_offline(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```py\n(.*?)```", README.read_text(), re.DOTALL)
    offline = block.replace(
        "= QiskitRuntimeService()", "= qep.testing.offline_service()"
    )
    shorter = offline.replace("steps=20", "steps=1").replace("shots=4000", "shots=100")
    assert shorter.count("offline_service()") == 2  # one is in the comment
    names = {"qep": qep, "x": [[1.0], [-1.0]], "y": [[-1.0], [1.0]]}
    exec(compile(shorter, "README.md", "exec"), names)
    assert names["state"].step == 1
    assert "QPU in all" in capsys.readouterr().out
    assert (tmp_path / "chip.jobs.jsonl").exists()
