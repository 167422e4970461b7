"""A saved state is one file: all or nothing, and nothing in it has to be trusted."""

import io
import json
import os
from itertools import islice
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qiskit_qep as qep
from qiskit_qep._archive import write_atomically
from qiskit_qep._state import flatten, unflatten

MODEL = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])


def state_at(step, **how):
    states = qep.steps(MODEL, [[1.0], [-0.5]], [[-0.5], [0.5]], seed=3, **how)
    return next(islice(states, step, None))


@pytest.fixture(scope="module")
def state():
    return state_at(2, equilibrium=qep.Sampled(50))


@pytest.fixture
def path(tmp_path, state):
    path = tmp_path / "state.npz"
    state.save(path)
    return path


def contents(state):
    arrays = [state.theta, *flatten(state.memory), *vars(state.gradient).values()]
    return [np.asarray(a).tobytes() for a in arrays] + [
        (state.step, state.seed, state.model)
    ]


def rewrite(path, change_header=None, **arrays):
    """Write the file again with other arrays; None leaves one out."""
    with np.load(path) as data:
        kept = dict(data)
    if change_header:
        header = json.loads(kept["header"].tobytes())
        change_header(header)
        kept["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    kept |= arrays
    np.savez(path, **{k: v for k, v in kept.items() if v is not None})


# -- there and back -------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 3])
@pytest.mark.parametrize("optimizer", [qep.sgd(), qep.momentum(), qep.adam()])
def test_all_that_was_saved_is_loaded(tmp_path, step, optimizer):
    state = state_at(step, optimizer=optimizer)
    state.save(tmp_path / "state.npz")
    loaded = qep.State.load(tmp_path / "state.npz")
    assert contents(loaded) == contents(state)
    assert repr(loaded) == repr(state)
    for name, value in vars(state.gradient).items():
        assert type(getattr(loaded.gradient, name)) is type(value) or np.isscalar(value)


def test_text_paths_and_other_endings_are_kept(tmp_path, state):
    for name in (str(tmp_path / "a.npz"), tmp_path / "b.state", tmp_path / "no_ending"):
        state.save(name)
        assert contents(qep.State.load(name)) == contents(state)
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {"a.npz", "b.state", "no_ending"}


def test_equal_states_are_equal_files(tmp_path, state):
    state.save(tmp_path / "a.npz")
    qep.State.load(tmp_path / "a.npz").save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_anyone_can_read_the_file(path, state):
    with np.load(path, allow_pickle=False) as data:
        header = json.loads(data["header"].tobytes())
        np.testing.assert_array_equal(data["theta"], state.theta)
        np.testing.assert_array_equal(data["gradient.values"], state.gradient.values)
    assert header["step"] == 2
    assert header["seed"] == 3
    assert header["versions"]["numpy"] == np.__version__
    with ZipFile(path) as archive:
        assert all(name.endswith(".npy") for name in archive.namelist())


def test_a_seed_of_any_size_survives(tmp_path):
    seed = 2**100 + 1
    state = next(qep.steps(MODEL, [[1.0]], [[1.0]], seed=seed))
    state.save(tmp_path / "state.npz")
    assert qep.State.load(tmp_path / "state.npz").seed == seed


# -- files that are no state ----------------------------------------------------------


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused(tmp_path_factory, state, share):
    path = tmp_path_factory.mktemp("state") / "state.npz"
    state.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"state\.npz is no saved State"):
        qep.State.load(path)


@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@settings(max_examples=150)
def test_a_damaged_file_is_refused_or_harmless(tmp_path_factory, state, place, flip):
    path = tmp_path_factory.mktemp("state") / "state.npz"
    state.save(path)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= flip
    path.write_bytes(content)
    refused, loaded = "", None
    try:
        loaded = qep.State.load(path)
    except ValueError as error:
        refused = str(error)
    assert "state.npz is no saved State" in refused or contents(loaded) == contents(
        state
    )


def as_npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"no state", b"PK\x03\x04", b'{"step": 3}', as_npy(np.ones(3))],
    ids=["empty", "text", "zip magic", "json", "npy"],
)
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "foreign.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"foreign\.npz is no saved State"):
        qep.State.load(path)


def test_a_foreign_archive_is_refused(tmp_path):
    path = tmp_path / "foreign.npz"
    np.savez(path, theta=np.ones(3))
    with pytest.raises(ValueError, match=r"foreign\.npz is no saved State.*header"):
        qep.State.load(path)
    with ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ValueError, match=r"foreign\.npz is no saved State"):
        qep.State.load(path)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is no saved State"):
        qep.State.load(tmp_path)


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        qep.State.load(tmp_path / "none.npz")


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return os.mkdir, (self.trace,)


@pytest.mark.parametrize("name", ["theta", "header", "memory.0", "gradient.values"])
def test_objects_are_refused_and_not_loaded(tmp_path, path, name):
    trace = tmp_path / "exploded"
    rewrite(path, **{name: np.array([Bomb(trace)], dtype=object)})
    with pytest.raises(ValueError, match=r"state\.npz is no saved State.*holds object"):
        qep.State.load(path)
    assert not trace.exists()
    with np.load(path, allow_pickle=True) as data:
        data[name]
    assert trace.exists()  # the bomb does work


NAMES = ["header", "theta", "memory.1", "gradient.loss", "gradient.gap"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_without_an_array_is_refused(path, name):
    rewrite(path, **{name: None})
    with pytest.raises(ValueError, match=r"state\.npz is no saved State.*" + name):
        qep.State.load(path)


@pytest.mark.parametrize("key", ["format", "schema", "step", "seed", "model", "leaves"])
def test_a_header_without_an_entry_is_refused(path, key):
    rewrite(path, lambda header: header.pop(key))
    with pytest.raises(ValueError, match=r"state\.npz is no saved State.*" + key):
        qep.State.load(path)


def test_another_format_is_refused(path):
    rewrite(path, lambda header: header.update(format="other.Model"))
    with pytest.raises(ValueError, match=r"is no saved State.*other\.Model"):
        qep.State.load(path)


def test_another_schema_is_refused(path):
    rewrite(path, lambda header: header.update(schema=999))
    match = r"schema 999, this version reads \d+; it was written by .*numpy"
    with pytest.raises(ValueError, match=match):
        qep.State.load(path)


# -- all or nothing -------------------------------------------------------------------


class CrashError(Exception):
    """The machine stops here."""


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [CrashError, KeyboardInterrupt, OSError])
def test_a_crash_while_writing_leaves_the_old_file(path, monkeypatch, call, error):
    before, later = path.read_bytes(), state_at(4)
    reached = []

    def crash(*args):
        reached.append(args)
        raise error("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, crash)
        with pytest.raises(error, match="no space left"):
            later.save(path)
    assert len(reached) == 1
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["state.npz"]
    later.save(path)
    assert qep.State.load(path).step == 4


def test_the_content_is_on_disk_before_the_old_file_goes(path, monkeypatch):
    order, sync, replace = [], os.fsync, os.replace

    def watched_sync(handle):
        order.append("fsync")
        sync(handle)

    def watched_replace(source, target):
        order.append("replace")
        assert Path(source).parent == Path(target).parent  # else it is no rename
        assert Path(source).read_bytes() == b"new"
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(os, "replace", watched_replace)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert order[:2] == ["fsync", "replace"]


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX here")
def test_a_saved_file_has_the_permissions_of_any_other(path):
    plain = path.parent / "plain"
    plain.write_bytes(b"")
    assert path.stat().st_mode == plain.stat().st_mode


def test_a_memory_that_could_not_be_loaded_is_not_saved(path):
    """Better no new file than one that only unpickling could read."""
    before = path.read_bytes()
    secretive = qep.Optimizer(
        lambda theta: (object(),), lambda g, memory, theta: (-0.1 * g, memory)
    )
    state = state_at(1, optimizer=secretive)
    with pytest.raises(ValueError, match="memory"):
        state.save(path)
    assert path.read_bytes() == before


# -- the optimizer's memory -----------------------------------------------------------


leaves = st.integers(0, 5).map(np.array) | st.just(np.ones(2)) | st.just(None)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(trees)
def test_memory_of_any_nesting_comes_back(tree):
    again = unflatten(tree, flatten(tree))
    assert repr(again) == repr(tree)
    assert type(again) is type(tree)


@given(trees)
def test_memory_of_another_shape_is_refused(tree):
    arrays = flatten(tree)
    longer, reshaped = [*arrays, np.ones(1)], [np.ones((3, 3)), *arrays[1:]]
    for wrong in [longer] + [reshaped] * bool(arrays):
        with pytest.raises(ValueError, match=r"memory has arrays of shape .* needs"):
            unflatten(tree, wrong)
