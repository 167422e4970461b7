"""Runs as TOML files: what they build, and how they refuse what they do not know."""

import inspect
import tomllib

import numpy as np
import pytest

import qiskit_qep as qep
from qiskit_qep import _kinds, _run, _types
from qiskit_qep._config import load, parse, read
from qiskit_qep._keys import ConfigError, build, replace_key
from qiskit_qep._kinds import KINDS

XOR = """\
steps = 10
[data]
kind = "xor"
test = 0
[model]
kind = "transverse_field_ising"
num_spins = 3
inputs = [0, 1]
readout = [2]
"""

RAMP = '[equilibrium]\nkind = "prepared"\npreparation = { kind = "ramp"'


def with_table(text):
    return f"{XOR}{text}\n"


def test_what_is_left_out_is_what_steps_would_do():
    config = parse(XOR, "small.toml")
    assert config.name == "small"
    assert config.text == XOR
    assert repr(config.model) == "Model(9 trainable, 2 inputs, 1 readout; 3 qubits)"
    assert config.equilibrium == qep.Exact()
    assert config.nudge == qep.Nudge.centered(0.1)
    assert config.loss is qep.squared_error
    assert (config.batch_size, config.seed, config.test_every) == (None, 0, 2)
    x, y = qep.datasets.xor()
    np.testing.assert_array_equal(config.x_train, x)
    np.testing.assert_array_equal(config.y_train, y)
    assert config.x_test.shape == (0, 2)


@pytest.mark.parametrize("name", ["digits", "iris", "xor", "chip"])
def test_a_packaged_config_is_found_by_its_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load(name)
    assert config.name == name
    g = qep.gradient(
        config.model,
        config.model.initial(np.random.default_rng(0)),
        config.x_train[:2],
        config.y_train[:2],
        equilibrium=_run.connected(config, _run.connection(config)).equilibrium,
        nudge=config.nudge,
        loss=config.loss,
        seed=0,
    )
    assert np.linalg.norm(g.values) > 1e-3


def test_a_file_goes_before_a_packaged_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").write_text(XOR)
    assert load("digits").model.num_readout == 1


def test_a_name_that_is_nothing_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"no file 'digts' \(did you mean 'digits'"):
        load("digts")


@pytest.mark.parametrize(
    ("table", "role", "expected"),
    [
        (
            '[nudge]\nkind = "chebyshev"\nbeta = 1\nn = 3',
            "nudge",
            qep.Nudge.chebyshev(1.0, 3),
        ),
        ('[nudge]\nkind = "infinitesimal"', "nudge", qep.Nudge.infinitesimal()),
        (
            '[equilibrium]\nkind = "exact"\nfollow = false',
            "equilibrium",
            qep.Exact(follow=False),
        ),
        (
            '[equilibrium]\nkind = "sampled"\nshots = 5\n'
            'equilibrium = { kind = "exact", level = 1 }',
            "equilibrium",
            qep.Sampled(5, qep.Exact(level=1)),
        ),
        (
            '[equilibrium]\nkind = "annealed"\ntemperatures = [2, 0.5]\naverage = true',
            "equilibrium",
            qep.Annealed(temperatures=(2.0, 0.5), average=True),
        ),
        (
            '[equilibrium]\nkind = "sampled"\nshots = 5\n'
            'equilibrium = { kind = "gaussian" }',
            "equilibrium",
            qep.Sampled(5, qep.Gaussian()),
        ),
        (
            '[equilibrium]\nkind = "relaxed"\npositions = [[0, 1], [2, 3]]',
            "equilibrium",
            qep.Relaxed([[0, 1], [2, 3]]),
        ),
        (
            '[equilibrium]\nkind = "thermal"\ntemperature = 2',
            "equilibrium",
            qep.Thermal(2.0),
        ),
        (
            '[equilibrium]\nkind = "lindblad"\ntemperature = 2\nrate = 3',
            "equilibrium",
            qep.Lindblad(temperature=2.0, rate=3.0),
        ),
        (
            '[equilibrium]\nkind = "lindblad"\n'
            '[[equilibrium.jumps]]\nkind = "damping"\nrate = 2\nexcited = 0.1\n'
            '[[equilibrium.jumps]]\nkind = "dephasing"\nrate = 0.5',
            "equilibrium",
            qep.Lindblad(
                qep.jumps.damping(2.0, excited=0.1) + qep.jumps.dephasing(0.5)
            ),
        ),
        (
            '[equilibrium]\nkind = "sampled"\nshots = 5\n[equilibrium.equilibrium]\n'
            'kind = "lindblad"\njumps = [{ kind = "depolarizing", rate = 1 }]\n'
            "temperature = 1",
            "equilibrium",
            qep.Sampled(5, qep.Lindblad(qep.jumps.depolarizing(1.0), temperature=1.0)),
        ),
        (
            '[equilibrium]\nkind = "tensor_network"\nmax_bond = 8',
            "equilibrium",
            qep.TensorNetwork(8),
        ),
        (
            '[equilibrium]\nkind = "variational_monte_carlo"\nsamples = 512',
            "equilibrium",
            qep.VariationalMonteCarlo(512),
        ),
    ],
    ids=lambda given: given.replace("\n", " ") if isinstance(given, str) else "",
)
def test_a_table_is_a_call(table, role, expected):
    assert getattr(parse(with_table(table), "x.toml"), role) == expected


def test_circuits_are_tables_too():
    text = with_table(
        '[equilibrium]\nkind = "prepared"\nshots = 50\nmitigation = "readout"\n'
        "[equilibrium.preparation]\n"
        'kind = "variational"\nenergy = "shots"\n'
        'ansatz = { kind = "ramp", time = 2, steps = 3, schedule = "smooth" }'
    )
    made = parse('backend = "fake:torino"\nmax_jobs = 3\n' + text, "x.toml")
    ansatz = qep.Ramp(2.0, 3, schedule="smooth")
    assert made.equilibrium.preparation == qep.Variational("shots", ansatz)
    assert made.equilibrium.shots == 50
    assert made.equilibrium.mitigation == "readout"
    assert (made.backend, made.account, made.budget.max_jobs) == (
        "fake:torino",
        None,
        3,
    )


@pytest.mark.parametrize(
    ("table", "backend", "expected"),
    [
        ("", "exact", qep.Exact()),
        ("", "aer", qep.Prepared(qep.Ramp())),
        ('[equilibrium]\nkind = "sampled"\nshots = 9', "aer", (qep.Ramp(), 9)),
        (RAMP + ", steps = 2 }\nshots = 7", "aer", (qep.Ramp(steps=2), 7)),
        (RAMP + ", steps = 2 }\nshots = 7", "exact", qep.Exact()),
        (RAMP + ", steps = 2 }", None, qep.Prepared(qep.Ramp(steps=2))),
        (RAMP + ", fourier = 4 }", None, qep.Prepared(qep.Ramp(fourier=4))),
    ],
)
def test_a_backend_decides_what_settles(table, backend, expected):
    text = with_table(table)
    if backend is not None:
        text = replace_key(text, "backend", backend)
    if isinstance(expected, tuple):
        expected = qep.Prepared(expected[0], shots=expected[1])
    assert parse(text, "x.toml").equilibrium == expected


def test_a_pauli_model_is_given_by_labels():
    text = 'steps = 1\n[data]\nkind = "xor"\ntest = 0\n[model]\nkind = "pauli"\n'
    lists = 'trainable = ["XX", "ZI"]\ninputs = ["ZI", "IZ"]\nreadout = ["IZ"]\n'
    model = parse(text + lists + 'fixed = "IX"\n', "x.toml").model
    same = qep.Model(["XX", "ZI"], ["ZI", "IZ"], ["IZ"], "IX")
    assert model.fingerprint == same.fingerprint


OSCILLATORS = """\
kind = "oscillator_network"
masses = [1.0, 2, 3.0, 4.0]
springs = [[0, 2], [1, 2], [2, 3]]
clamped = [0]
inputs = [1]
anchors = 0.5
readout = [3, "r_3 r_3"]
"""
ELASTIC = """\
kind = "elastic_network"
positions = [[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.4]]
pinned = [0, 1]
inputs = [[2, 0], [3, 0]]
readout = [4, [2, 1]]
stiffness = 2
"""


def test_networks_of_springs_are_given_by_lists():
    made = build(KINDS, "model", tomllib.loads(OSCILLATORS))[0]
    how = {"springs": [(0, 2), (1, 2), (2, 3)], "clamped": [0], "inputs": [1]}
    same = qep.models.oscillator_network(
        [1.0, 2.0, 3.0, 4.0], anchors=0.5, readout=[3, "r_3 r_3"], **how
    )
    assert made.fingerprint == same.fingerprint
    made = build(KINDS, "model", tomllib.loads(ELASTIC))[0]
    same = qep.models.elastic_network(
        [[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.4]],
        pinned=[0, 1],
        inputs=[(2, 0), (3, 0)],
        readout=[4, (2, 1)],
        stiffness=2.0,
    )
    assert made.fingerprint == same.fingerprint
    assert made.parametrization == same.parametrization


def test_an_optimizer_may_be_bounded():
    table = 'kind = "sgd"\nrate = 1\nschedule = "cosine"\nbounded = { lower = 0.1 }'
    kept = parse(with_table(f"[optimizer]\n{table}"), "x.toml").optimizer
    theta = np.array([0.5, 2.0])
    change, _ = kept.update(np.ones(2), kept.init(theta), theta)
    np.testing.assert_allclose(theta + change, [0.1, 1.0])
    change, _ = kept.update(-np.ones(2), (np.array(5),), theta)  # half way of ten steps
    np.testing.assert_allclose(change, 0.5)


def test_linear_inputs_wrap_the_model():
    model = parse(with_table("[model.linear_inputs]\nscale = 2"), "x.toml").model
    assert model.parametrization.scale == 2.0
    assert model.num_trainable == 9 + 2 * 3


def test_a_cosine_schedule_ends_with_the_run():
    table = '[optimizer]\nkind = "sgd"\nrate = 2.0\nschedule = "cosine"'
    update = parse(with_table(table), "x.toml").optimizer.update
    one = np.ones(1)
    changes = [update(one, (np.array(k),), one)[0][0] for k in (0, 5, 10)]
    np.testing.assert_allclose(changes, [-2.0, -1.0, 0.0], atol=1e-12)


def test_a_cosine_schedule_starts_from_the_rate_that_is_left_out():
    table = '[optimizer]\nkind = "sgd"\nschedule = "cosine"'
    update = parse(with_table(table), "x.toml").optimizer.update
    assert update(np.ones(1), (np.array(0),), np.ones(1))[0] == pytest.approx(-0.1)


def test_data_that_are_drawn_follow_the_seed_of_the_run():
    text = XOR.replace('"xor"', '"moons"')
    drawn = [parse(f"seed = {s}\n{text}", "x.toml").x_train for s in (3, 3, 4)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.abs(drawn[0] - drawn[2]).max() > 0.1


def test_the_split_has_a_seed_of_its_own():
    text = XOR.replace('"xor"', '"moons"\nseed = 1').replace("test = 0", "test = 0.25")
    first, other, again = (
        parse(
            f"seed = {s}\n{text}".replace("test", f"split_seed = {k}\ntest"), "x.toml"
        )
        for s, k in ((0, 0), (0, 1), (9, 0))
    )
    assert (len(first.x_train), len(first.x_test)) == (150, 50)
    np.testing.assert_array_equal(first.x_test, again.x_test)
    assert np.abs(first.x_test - other.x_test).max() > 0.1


REFUSED = [
    ("steps = 10", "stpes = 10", r"no key 'stpes' \(did you mean 'steps'\?\); it may"),
    ("steps = 10", "", "the file needs steps, a whole number"),
    ("steps = 10", "steps = true", "steps should be a whole number, got true"),
    ("steps = 10", "steps = 10.0", "steps should be a whole number, got 10.0"),
    ("steps = 10", "steps = 0", "steps should be at least 1, got 0"),
    ("steps = 10", "steps = 1\nseed = -1", "seed should be 0 or more, got -1"),
    ("steps = 10", "steps = 1\ntest_every = 0", "test_every should be at least 1"),
    ("steps = 10", "steps = 1\nbatch_size = 9", "batch_size should be 1 to 4, got 9"),
    ("steps = 10", "steps = 1\nloss = 3", r"\[loss\] should be a table with a kind"),
    ("steps = 10", 'steps = 1\nbackend = "a b"', "backend should be a name of at most"),
    ("steps = 10", "steps = 1\nbackend = 3", "backend should be a string, got 3"),
    ("steps = 10", "steps = 1\nmax_jobs = -1", "max_jobs should be 0 or more, or None"),
    ("steps = 10", "steps = 1\nmax_jobs = 1.5", "max_jobs should be a whole number"),
    ("steps = 10", "steps = 1\nmax_qpu_seconds = nan", "should be a finite number, go"),
    ("[data]", "[dta]", r"no key 'dta' \(did you mean 'data'\?\)"),
    ("[data]", "[data", "Expected ']' at the end of a table declaration"),
    ('kind = "xor"\ntest = 0', 'kind = "xro"', r'"xro" \(did you mean \'xor\'\?\)'),
    ('kind = "xor"\n', "", r"\[data\] kind should be one of xor, parity"),
    ('kind = "xor"', "kind = [1]", r"\[data\] kind should be one of .*, got \[1\]"),
    ("test = 0", "test = 1.5", r"\[data\] test is 1.5; pass a fraction"),
    ("test = 0", "test = nan", r"\[data\] test should be a finite number, got NaN"),
    ("num_spins = 3", "", r"\[model\] needs num_spins, a whole number"),
    ("readout = [2]", "readout = [3]", r"\[model\] readout should be spins 0 to 2"),
    ("readout = [2]", 'readout = "2"', "readout should be a list of whole numbers"),
    ("readout = [2]", "edges = [[0, 1, 2]]", "edges should be a string or a list of"),
    ("readout = [2]", 'edges = "cirle"', r"\[model\] edges should be 'chain' or"),
    ("inputs = [0, 1]", "inputs = [0]", r"1 inputs, but the data have 2 features"),
]
REFUSED_TABLES = [
    ('[equilibrium]\nkind = "prepared"', "needs preparation, a table with a kind"),
    (RAMP + ", time = -1 }", r"\[equilibrium.preparation\] time should be a positive"),
    (RAMP + ", tme = 1 }", r"\[equilibrium.preparation\] has no key 'tme' \(did you"),
    (
        RAMP + ', driver = "XX" }',
        r"has no key 'driver'.*; it may have kind, time, steps",
    ),
    (RAMP + ', schedule = "fast" }', "should be 'gentle', 'linear', 'smooth' or a"),
    (RAMP + ", steps = 10001 }", r"steps should be at most 10000 in a file, got 10001"),
    (RAMP.replace("ramp", "rmp") + " }", r"got \"rmp\" \(did you mean 'ramp'\?\)"),
    (RAMP + " }\nshots = 0", r"\[equilibrium\] shots should be at least 1, got 0"),
    (RAMP + ' }\nmitigation = "all"', r"mitigation should be 'none', 'readout' or 'fu"),
    (
        RAMP + ' }\nmitigation = "readout"',
        r'none" needs a backend .*add backend = "aer',
    ),
    (RAMP + " }\nsampler = 1", r"\[equilibrium\] has no key 'sampler'"),
    (
        RAMP.replace("ramp", "variational") + " }",
        r"\[equilibrium.preparation\] needs energy, a string",
    ),
    ('[nudge]\nkind = "centred"', r"got \"centred\" \(did you mean 'centered'\?\)"),
    ('[nudge]\nkind = "centered"', r"\[nudge\] needs beta, a finite number"),
    ('[nudge]\nkind = "centered"\nbeta = "0.1"', 'a finite number, got "0.1"'),
    ('[nudge]\nkind = "centered"\nbeta = -1', r"\[nudge\] beta should be a positive"),
    ('[nudge]\nkind = "centered"\nbeta = 1\nn = 3', r"no key 'n'; it may have kind, b"),
    ('[loss]\nkind = "cross_entropy"', r"\[loss\] y should be class numbers"),
    ('[optimizer]\nkind = "adam"\nrate = "fast"', "rate should be a finite number"),
    ('[optimizer]\nkind = "adam"\nrate = -1', r"\[optimizer\] rate should be a posit"),
    ('[optimizer]\nkind = "adam"\nschedule = "cosin"', "did you mean 'cosine'"),
    ("[model.linear_inputs]\nscle = 1", r"\[model.linear_inputs\] has no key 'scle'"),
    ("[model.linear_inputs]\nmodel = 1", r"has no key 'model'; it may have scale"),
    (
        '[optimizer]\nkind = "adam"\nbounded = { lower = 2, upper = 1 }',
        r"\[optimizer.bounded\] lower should be below upper, got 2 and 1",
    ),
    (
        '[optimizer]\nkind = "adam"\nbounded = { lower = "a" }',
        r"\[optimizer.bounded\] lower should be a number, a list of numbers, or lists",
    ),
    (
        '[optimizer]\nkind = "adam"\nbounded = { least = 0 }',
        r"\[optimizer.bounded\] has no key 'least'; it may have lower, upper",
    ),
    (
        '[equilibrium]\nkind = "annealed"\ntemperatures = [1]',
        r"temperatures should be two numbers such as \[2.0, 0.1\], got \[1\]",
    ),
    (
        '[equilibrium]\nkind = "annealed"\ntemperatures = [1, -1]',
        r"\[equilibrium\] temperatures should be two positive ones, got \(1.0, -1.0",
    ),
    (
        '[equilibrium]\nkind = "annealed"\nreads = 0',
        "reads should be at least 1, got 0",
    ),
    ('[equilibrium]\nkind = "thermal"', "needs temperature, a finite number"),
    (
        '[equilibrium]\nkind = "thermal"\ntemperature = 0',
        "temperature should be positive, got 0.0; at zero temperature use Exact",
    ),
    (
        '[equilibrium]\nkind = "gaussian"\nshots = 3',
        r"\[equilibrium\] has no key 'shots'; it may have kind$",
    ),
    ('[equilibrium]\nkind = "relaxd"', r"got \"relaxd\" \(did you mean 'relaxed'"),
    (
        '[equilibrium]\nkind = "relaxed"\npositions = [[0, 1], [2]]',
        r"positions should be a number, .*of one length, got \[\[0, 1\], \[2\]\]",
    ),
    ('[equilibrium]\nkind = "lindblad"', "nothing leads to a steady state; give one"),
    (
        '[equilibrium]\nkind = "lindblad"\njumps = { kind = "damping", rate = 1 }',
        r"\[equilibrium\] jumps should be a list of tables such as \[{ kind = .damping",
    ),
    (
        '[equilibrium]\nkind = "lindblad"\njumps = [{ kind = "dampng", rate = 1 }]',
        r"\[equilibrium.jumps, entry 1\] kind should be .* \(did you mean 'damping'",
    ),
    (
        '[equilibrium]\nkind = "lindblad"\njumps = [{ kind = "damping", rate = -1 }]',
        r"\[equilibrium.jumps, entry 1\] rate should be a positive number, got -1.0",
    ),
    (
        '[equilibrium]\nkind = "lindblad"\njumps = [{ kind = "damping" }]',
        r"\[equilibrium.jumps, entry 1\] needs rate, a finite number",
    ),
    (
        '[equilibrium]\nkind = "tensor_network"\nmax_bond = 0',
        "max_bond should be at least 1, got 0",
    ),
    (
        '[equilibrium]\nkind = "sampled"\nshots = 9\nequilibrium = 3',
        r"\[equilibrium\] equilibrium should be a table with a kind, got 3",
    ),
    (
        '[equilibrium]\nkind = "sampled"\nshots = 9\n'
        'equilibrium = { kind = "exact", levl = 1 }',
        r"\[equilibrium.equilibrium\] has no key 'levl' \(did you mean 'level'",
    ),
]


REFUSED_SPRINGS = [
    (OSCILLATORS, "masses = [1.0, 2, 3.0, 4.0]", "", "needs masses, a list of numbers"),
    (OSCILLATORS, "[1.0, 2,", '["a", 2,', r"masses should be a list of numbers, got"),
    (OSCILLATORS, "[1.0, 2,", "[-1.0, 2,", "masses should be positive numbers, got"),
    (OSCILLATORS, '"r_3 r_3"', "[3, 1]", r'of atoms and of products such as "r_3 r_3"'),
    (OSCILLATORS, '"r_3 r_3"', '"r_9"', "'r_9' should name modes 0"),
    (OSCILLATORS, "clamped = [0]", "clamped = [0, 2]", "between clamped atoms does no"),
    (OSCILLATORS, "0.5", '"x"', "anchors should be a number or a list of numbers, got"),
    (ELASTIC, "[[0, 0],", "[[0],", "positions should be .*lists of one length, got"),
    (ELASTIC, "[2, 0]", "[2, 0, 1]", r"a list of atoms and of pairs \[atom, axis\], g"),
    (ELASTIC, "[2, 0]", "[2, 5]", r"pairs with an axis 0 to 1, got \(2, 5\)"),
]


@pytest.mark.parametrize(
    ("table", "old", "new", "match"),
    REFUSED_SPRINGS,
    ids=[new or f"no {old}" for _, old, new, _ in REFUSED_SPRINGS],
)
def test_what_is_wrong_with_springs_is_refused_by_name(table, old, new, match):
    assert old in table
    text = f'steps = 1\n[data]\nkind = "xor"\n[model]\n{table.replace(old, new, 1)}'
    with pytest.raises(ConfigError, match=rf"^x.toml: \[model\].*{match}"):
        parse(text, "x.toml")


@pytest.mark.parametrize(
    ("text", "match"),
    [(XOR.replace(old, new, 1), match) for old, new, match in REFUSED]
    + [(with_table(table), match) for table, match in REFUSED_TABLES],
    ids=[new or f"no {old}" for old, new, _ in REFUSED]
    + [table for table, _ in REFUSED_TABLES],
)
def test_what_is_wrong_is_refused_by_name(text, match):
    assert text != XOR
    with pytest.raises(ConfigError, match=f"^wrong.toml: .*{match}"):
        parse(text, "wrong.toml")


def test_a_missing_table_is_named():
    with pytest.raises(ConfigError, match=r"a table \[data\] is needed; its kind is"):
        parse("steps = 1", "x.toml")


@pytest.mark.parametrize(
    "function",
    [function for kinds in KINDS.values() for function in kinds.values()]
    + [_kinds.top, _kinds.split, _kinds.features, _kinds.schedule],
    ids=lambda function: getattr(function, "__qualname__", repr(function)),
)
def test_every_argument_has_a_type_that_is_checked(function):
    for name, parameter in inspect.signature(function).parameters.items():
        in_a_file = name not in ("driver", "optimizer")  # an operator, a function
        assert (_types.annotation(parameter) in _types.TYPES) is in_a_file


@pytest.mark.parametrize(
    ("value", "kind", "fits"),
    [
        (True, "int", False),
        (True, "float", False),
        (1, "float", True),
        (float("inf"), "float", False),
        (float("nan"), "float", False),
        (10**400, "float", False),
        (1, "bool", False),
        ([1, 2], "Sequence[int]", True),
        ([1, True], "Sequence[int]", False),
        (["X", 1], "Sequence[str]", False),
        ([1.0, 2], "tuple[float, float]", True),
        ([1.0, True], "tuple[float, float]", False),
        ([1.0, 2.0, 3.0], "tuple[float, float]", False),
        ([[1.0, 2], [3, 4]], "ArrayLike", True),
        ([[1.0, 2], [3]], "ArrayLike", False),
        ([[1.0, 2], 3], "ArrayLike", False),
        ([["1", 2]], "ArrayLike", False),
        ([0, [1, 2]], "Sequence[int | tuple[int, int]]", True),
        ([0, [1, 2.0]], "Sequence[int | tuple[int, int]]", False),
        ("XX", "Sequence[str]", False),
    ],
)
def test_types_are_told_apart(value, kind, fits):
    assert _types.TYPES[kind][1](value) is fits


def test_a_key_is_replaced_where_it_stands():
    text = "seed = 1 # of all\nsteps = 2\n[data]\nseed = 3\n"
    expected = "seed = 42 # of all\nsteps = 2\n[data]\nseed = 3\n"
    assert replace_key(text, "seed", 42) == expected


def test_a_key_that_is_not_there_is_added_above_all_tables():
    text = "[data]\nseed = 3\n"
    assert replace_key(text, "seed", 42) == "seed = 42\n[data]\nseed = 3\n"


@pytest.mark.parametrize("value", ["fake:torino", 2.5, "ß €"])
def test_a_key_of_any_kind_is_replaced(value):
    text = 'backend = "aer # not" # where\n[data]\n'
    changed = replace_key(text, "backend", value)
    assert tomllib.loads(changed) == {"backend": value, "data": {}}
    assert changed.endswith(" # where\n[data]\n")


@pytest.mark.parametrize(
    ("text", "value", "match"),
    [
        ("a = [", 1, "no TOML: "),
        ("a = 1", float("nan"), "b should be a finite number, got NaN"),
        ("a = 1", "\x7f", "no TOML: "),
    ],
)
def test_what_is_no_toml_is_refused(text, value, match):
    with pytest.raises(ConfigError, match=match):
        replace_key(text, "b", value)


def test_a_key_that_cannot_be_replaced_safely_is_refused():
    with pytest.raises(ConfigError, match="could not set seed = 42; write it into"):
        replace_key('"seed" = 1\nnote = """\nseed = 7\n"""\n', "seed", 42)


def test_the_packaged_digits_are_the_issue_s_network():
    config = load("digits")
    assert (
        repr(config.model) == "Model(705 trainable, 64 inputs, 10 readout; 10 qubits)"
    )
    assert len(config.x_train) + len(config.x_test) == 1797
    split = qep.datasets.split(*qep.datasets.digits(), test=0.3, seed=0)
    np.testing.assert_array_equal(config.x_test, split[2])


def test_a_text_is_read_as_it_is(tmp_path):
    (tmp_path / "mine.toml").write_text(XOR + "# ± β\n", encoding="utf-8")
    assert read(tmp_path / "mine.toml") == (XOR + "# ± β\n", "mine.toml")
