"""The README's Python runs as it stands, top to bottom, in one namespace."""

import re
from pathlib import Path

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
    assert len(BLOCKS) == 6


def test_first_example_learns(capsys):
    names = {}
    exec(compile(BLOCKS[0], "README.md", "exec"), names)
    assert names["state"].loss < 0.1
