"""Every promise of SECURITY.md names the tests that hold it, and these exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
PROMISES = re.findall(r"(?ms)^\d+\. (.*?)(?=^\d+\. |^\*\*)", TEXT)


def named_in(text):
    return re.findall(r"`(test_\w+\.py)::(test_\w+)`", text)


def test_there_are_promises():
    assert len(PROMISES) == 10


@pytest.mark.parametrize("promise", PROMISES, ids=lambda text: text[:30])
def test_a_promise_has_its_tests(promise):
    named = named_in(promise)
    assert named
    for file, name in named:
        tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
        assert name in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}


def test_a_promise_without_a_test_is_seen():
    assert named_in("We promise the moon. `tests/moon.py`") == []
