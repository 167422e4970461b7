"""Damaged, hostile and mistyped files: one sentence, exit code 2, nothing half done."""

import io
import json
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.lib import format as npy

import qiskit_qep as qep
from qiskit_qep import _archive, _config, _folder, _keys, cli
from qiskit_qep._keys import ConfigError
from qiskit_qep.runtime.journal import Journal
from qiskit_qep.runtime.lines import line_of

CHIP = (Path(qep.__file__).parent / "configs" / "chip.toml").read_text("utf-8")
XOR = """\
steps = 3
[data]
kind = "xor"
test = 0
[model]
kind = "transverse_field_ising"
num_spins = 2
inputs = [0, 1]
readout = [1]
"""
EXTREME = ["-1", "0", "1e308", "nan", "inf", '""', "[]", "{}", "true", "9" * 30]
EXTREME += ['"\\u0000"', "[[[]]]", "1979-05-27", '"exact"', "9" * 5000, "[" * 5000]
LINES = CHIP.splitlines()
KEYS = [k for k, line in enumerate(LINES) if "=" in line and line[0] not in "#["]


def refused(argv, capsys):
    """Run a command that is refused; return its one sentence."""
    assert cli.main(argv) == 2
    out, error = capsys.readouterr()
    assert error.startswith("qiskit-qep: ")
    assert error.count("\n") == 1
    assert "Traceback" not in out + error
    assert "--traceback" not in error  # our own words, not "KeyError in ..."
    return error


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    (folder / "x.toml").write_text(XOR)
    assert (
        cli.main(["train", str(folder / "x.toml"), "--out", str(folder / "run")]) == 0
    )
    return folder


@pytest.fixture
def run(finished, tmp_path, monkeypatch, capsys):
    """A finished run, in a folder to work in."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run"


# -- configs ---------------------------------------------------------------------------


@st.composite
def configs(draw):
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 3))):
        k = draw(st.sampled_from(KEYS))
        key = lines[k].partition("=")[0] or "x"
        what = draw(st.sampled_from(["value", "drop", "double", "cut", "noise"]))
        if what == "value":
            lines[k] = f"{key}= {draw(st.sampled_from(EXTREME))}"
        elif what == "drop":
            lines[k] = ""
        elif what == "double":
            lines[k] += "\n" + lines[k]
        elif what == "cut":
            lines[k] = lines[k][: draw(st.integers(0, 12))]
        else:
            lines[k] += draw(st.text(max_size=8))
    return "\n".join(lines)


@settings(max_examples=150)
@given(text=configs() | st.text(max_size=60))
def test_any_config_is_built_or_refused(text):
    try:
        assert _config.parse(text, "x.toml").steps > 0
    except ConfigError as error:
        assert str(error).startswith("x.toml: ")  # noqa: PT017 either is right
        assert len(str(error)) < 1000  # noqa: PT017 either is right


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=configs() | st.text(max_size=60), extra=st.binary(max_size=3))
def test_any_config_is_planned_or_one_sentence(tmp_path, capsys, text, extra):
    file = tmp_path / "x.toml"
    file.write_bytes(text.encode("utf-8", "replace") + extra)
    code = cli.main(["plan", str(file), "--backend", "exact"])
    out, error = capsys.readouterr()
    assert "Traceback" not in out + error
    assert (code, bool(error)) in ((0, False), (2, True))
    assert error.count("\n") == (code == 2)
    assert "--traceback" not in error


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("num_spins = 1000000", "num_spins should be at most 63 in a file, got"),
        ("steps = 1\nx = " + "[" * 5000, "nested too deeply"),
        ("num_spins = " + "9" * 5000, "Exceeds the limit"),
    ],
)
def test_what_would_never_end_is_refused(tmp_path, capsys, line, match):
    (tmp_path / "x.toml").write_text(XOR.replace("num_spins = 2", line))
    assert match in refused(["plan", str(tmp_path / "x.toml")], capsys)


@pytest.mark.parametrize("command", ["train", "plan"])
def test_a_file_that_is_no_text_is_refused(tmp_path, capsys, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    assert "is no UTF-8 text" in refused([command, "x.toml"], capsys)
    monkeypatch.setattr(_keys, "MAX_TEXT", 10)
    (tmp_path / "x.toml").write_text(XOR)
    assert "more than 10 bytes" in refused([command, "x.toml"], capsys)
    assert not (tmp_path / "runs").exists()


def test_a_run_that_fails_at_once_leaves_no_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.toml").write_text(
        XOR + '[nudge]\nkind = "holomorphic"\nradius = 1\n'
        'n = 2\n[equilibrium]\nkind = "prepared"\n'
        'preparation = { kind = "ramp", steps = 1 }\n'
    )
    assert "Nudge.holomorphic needs complex" in refused(["train", "x.toml"], capsys)
    assert list((tmp_path / "runs").iterdir()) == []


# -- states ----------------------------------------------------------------------------


def members(path):
    with zipfile.ZipFile(path) as file:
        return {info.filename: file.read(info) for info in file.infolist()}


def write(path, parts, how=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", how) as file:
        for name, content in parts.items():
            file.writestr(name, content)


def array(values, shape=None):
    """Return an array's bytes, under a header that promises another shape."""
    file = io.BytesIO()
    values = np.asarray(values)
    header = npy.header_data_from_array_1_0(values)
    npy.write_array_header_1_0(file, header | ({"shape": shape} if shape else {}))
    return file.getvalue() + values.tobytes()


def header(**changes):
    known = {"format": "qiskit_qep.State", "schema": 1, "step": 3, "seed": 0}
    text = json.dumps(known | {"model": "0", "leaves": 0, "versions": {}} | changes)
    return array(np.frombuffer(text.encode(), np.uint8))


HOSTILE = {
    "theta.npy promises shape": {"theta.npy": array([1.0], (1 << 60,))},
    "theta.npy promises shape (-1": {"theta.npy": array([1.0], (-1,))},
    "theta should be one row of finite": {"theta.npy": array([np.nan] * 5)},
    "gradient.values should be finite": {"gradient.values.npy": array([np.inf] * 5)},
    "gradient.stds should be 0 or more": {"gradient.stds.npy": array([-1.0] * 5)},
    "gradient.stds should be 0": {"gradient.stds.npy": array([1.0] * 6)},
    "gradient.loss should be finite, of": {"gradient.loss.npy": array([1.0, 2.0])},
    "step should be a whole number from 0": {"header.npy": header(step=-1)},
    "seed should be a whole number from 0": {"header.npy": header(seed=True)},
    "leaves should be a whole": {"header.npy": header(leaves="9")},
    "it lacks 'memory.": {"header.npy": header(leaves=10**9)},
    "its header holds NaN": {"header.npy": header(step=float("nan"))},
    "has schema 2, this version reads 1": {"header.npy": header(schema=2)},
    "is not a zip file": None,
    "its header has 100000 uint8": {"header.npy": array(np.zeros(100_000, np.uint8))},
    "RecursionError": {"header.npy": array(np.frombuffer(b"[" * 60_000, np.uint8))},
    "holds object, not numbers": {"theta.npy": array(np.array([None], object))},
    "holds <U1, not numbers": {"theta.npy": array(np.array(["x"]))},
}


@pytest.mark.parametrize("match", HOSTILE)
def test_a_hostile_state_is_refused_with_its_reason(run, capsys, match):
    path = run / "state.npz"
    if HOSTILE[match] is None:
        path.write_bytes(b"PK" + bytes(100))
    else:
        write(path, members(path) | HOSTILE[match])
    with pytest.raises(ValueError, match="no saved State: "):
        qep.State.load(path)
    assert match in refused(["resume", "run"], capsys)


def test_a_bomb_is_refused_before_it_is_unpacked(run, capsys):
    path = run / "state.npz"
    zeros = array(np.zeros(1 << 20))
    write(path, members(path) | {"theta.npy": zeros}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < len(zeros) / 100
    assert "is compressed: " in refused(["resume", "run"], capsys)


def test_sizes_that_lie_are_refused(run, capsys, monkeypatch):
    path = run / "state.npz"
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")  # of the directory's first entry
    content[at + 20 : at + 28] = struct.pack("<II", 1 << 31, 1 << 31)
    path.write_bytes(content)
    assert "no saved State" in refused(["resume", "run"], capsys)
    monkeypatch.setattr(_archive, "MAX_BYTES", 10)
    assert "more than 10" in refused(["resume", "run"], capsys)


def test_the_order_of_the_members_does_not_matter_but_their_bytes_do(run, capsys):
    path = run / "state.npz"
    before, parts = qep.State.load(path), members(path)
    write(path, dict(reversed(parts.items())))
    assert np.array_equal(qep.State.load(path).theta, before.theta)
    content = path.read_bytes()
    theta = content.index(before.theta.tobytes())
    for place in (theta, theta + 9):
        flipped = bytearray(content)
        flipped[place] ^= 1
        path.write_bytes(flipped)
        assert "Bad CRC-32" in refused(["resume", "run"], capsys)


def test_a_name_that_is_there_twice_is_refused(run, capsys):
    parts = members(run / "state.npz")
    with zipfile.ZipFile(run / "state.npz", "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("theta.npy", parts["theta.npy"])
    assert "theta.npy is there twice" in refused(["resume", "run"], capsys)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_state_is_refused_or_harmless(run, capsys, data):
    path = run / "state.npz"
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    other = run.parent / "mutated.npz"
    other.write_bytes(content[: data.draw(st.integers(0, 2 * len(content)))])
    try:
        assert np.isfinite(qep.State.load(other).theta).all()
    except ValueError as error:
        assert "mutated.npz is no saved State: " in str(error)  # noqa: PT017 either is right


# -- metrics and summaries -------------------------------------------------------------


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_table_or_summary_is_shown_or_one_sentence(run, capsys, data):
    name = data.draw(st.sampled_from(["metrics.csv", "summary.json"]))
    content = (run / name).read_bytes()
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        changed[place : place + data.draw(st.integers(0, 9))] = data.draw(
            st.binary(max_size=5) | st.sampled_from([b"nan", b",", b"1e999", b"-1"])
        )
    (run / name).write_bytes(changed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli._report, "draw", lambda *_: "drawn")
        code = cli.main(["show", str(run)])
    (run / name).write_bytes(content)
    out, error = capsys.readouterr()
    assert "Traceback" not in out + error
    assert "--traceback" not in error
    assert code == 0 or error.count("\n") == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"steps": 3}',
        '{"steps": "3", "confusion": [[1]]}',
    ],
    ids=["empty", "list", "cut", "deep", "short", "typed"],
)
def test_a_summary_that_is_none_says_what_to_do(run, capsys, text):
    (run / "summary.json").write_text(text)
    assert "no summary of a run; remove it, and" in refused(["show", "run"], capsys)


# -- journals --------------------------------------------------------------------------


def intent(**changes):
    known = {"fingerprint": "f", "circuits": "c", "seed": 1, "shots": 10, "slot": 0}
    known |= {"backend": "b", "tag": None, "estimate": 1.0, "request": 0}
    return line_of({"kind": "intent", "at": 1.0} | known | changes)


OPENED = {"kind": "opened", "at": 0.0, "format": "qiskit_qep.Journal", "run": "r"}
BEGUN = line_of(OPENED | {"schema": 1})


def test_a_journal_is_listed(run, capsys):
    (run / "jobs.jsonl").write_bytes(BEGUN + intent() + b'{"check": "0')
    assert cli.main(["jobs", "run"]) == 0
    assert "   0 -   unknown" in capsys.readouterr().out
    assert (run / "jobs.jsonl").read_bytes() == BEGUN + intent() + b'{"check": "0'


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (BEGUN + b"{}\n" + intent(), "line 2 of run/jobs.jsonl is damaged"),
        (line_of(OPENED | {"schema": 7}), "has schema 7, this version reads 1"),
        (intent(), "is no journal"),
        (BEGUN + intent(request=5), "does not understand"),
        (BEGUN + intent(shots=-1), "request 0 is none"),
        (BEGUN + intent(backend=[1]), "request 0 is none"),
        (BEGUN + intent(color="red"), "does not understand"),
        (BEGUN + b"[" * 100_000 + b"\n" + intent(), "line 2 of run/jobs.jsonl is dam"),
    ],
)
def test_a_journal_that_is_wrong_is_refused(run, capsys, content, match):
    (run / "jobs.jsonl").write_bytes(content)
    assert match in refused(["jobs", "run"], capsys)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_journal_is_listed_or_one_sentence(run, capsys, data):
    content = bytearray(BEGUN + intent() + intent(request=1, slot=1))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    (run / "jobs.jsonl").write_bytes(content[: data.draw(st.integers(0, 900))])
    code = cli.main(["jobs", str(run)])
    error = capsys.readouterr().err
    assert "--traceback" not in error
    assert code == 0 or error.count("\n") == 1


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_journal_is_used_or_refused(tmp_path, data):
    content = bytearray(BEGUN + intent() + intent(request=1, slot=1))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "jobs.jsonl"
    path.write_bytes(content[: data.draw(st.integers(0, 900))])
    try:
        Journal.open(path)
    except qep.JournalError as error:
        assert str(path) in str(error)  # noqa: PT017 either is right


def test_a_full_disk_leaves_the_files_as_they_were(run, capsys, monkeypatch):
    before = {path.name: path.read_bytes() for path in run.iterdir()}

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        _folder.change(run, {"steps": 5})
    assert "No space left" in refused(["resume", "run"], capsys)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
