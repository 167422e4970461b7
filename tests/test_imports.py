"""The house plan: who may import whom, what an import costs, what is never called."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import qiskit_qep

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "qiskit_qep"
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

HOUSE_PLAN = [  # bottom to top; a file imports from lower lines or from its own
    ["_whole"],
    ["_native"],
    ["_simd", "_team"],
    [
        "_kernels",
        "_walsh",
        "_evolution",
        "_expectations",
        "_tridiagonal",
        "_krylov",
        "_eigenstates",
        "_sampling",
    ],
    ["_pauli"],
    ["_mpo"],
    ["_parametrization"],
    ["_operators"],
    ["_model"],
    ["_quadratic"],
    ["_landscape"],
    ["models", "jumps"],
    ["_equilibrium"],
    ["runtime"],
    ["preparations"],
    ["equilibria"],
    ["_nudge", "_loss", "_optimizers", "_streams"],
    ["_estimate"],
    ["_measure", "_gradient", "_contrastive", "_agnostic"],
    ["_plan", "_fidelity", "_reciprocity", "_suggest", "_selftest"],
    ["_archive"],
    ["_state", "_train"],
    ["datasets", "testing"],
    ["sklearn", "torch", "plotting"],
    ["_types", "_keys", "_kinds", "_backends", "_config"],
    ["_score", "_folder", "_run", "_report", "_options", "_process", "cli"],
    ["__init__"],
]
LAYER = {name: layer for layer, line in enumerate(HOUSE_PLAN) for name in line}
MAX_LINES = 320


def imported_modules(source, file):
    """Yield (line, dotted path below qiskit_qep) of every import of our own modules.

    The path of the package root itself is "__init__".
    """
    folder = ["qiskit_qep", *Path(file).parts[:-1]]
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                targets = [alias.name for alias in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                parents = folder[: len(folder) - level + 1] if level else []
                base = ".".join([*parents, *([module] if module else [])])
                # `from qiskit_qep import x` is the file x if there is one, or the root
                targets = {
                    f"{base}.{alias.name}"
                    if base == "qiskit_qep" and alias.name in LAYER
                    else base
                    for alias in names
                }
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__")
                | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                dots = len(name) - len(name.lstrip("."))
                parents = folder[: len(folder) - dots + 1] if dots else []
                targets = [".".join([*parents, name.lstrip(".")])]
            case _:
                continue
        for target in targets:
            package, _, below = target.partition(".")
            if package == "qiskit_qep":
                yield node.lineno, below or "__init__"


def offences(source, file):
    """Say which imports of a file break the house plan."""
    name = Path(file).parts[0].removesuffix(".py")
    if name not in LAYER:
        return [f"{file} is not in HOUSE_PLAN: add it to the house plan"]
    found = []
    for line, target in imported_modules(source, file):
        top = target.partition(".")[0]
        if top not in LAYER:
            found.append(f"{file}:{line} imports {top}: add it to the house plan")
        elif LAYER[top] > LAYER[name]:
            found.append(f"{file}:{line} imports {top}, which stands above {name}")
    return found


def test_there_are_files_to_check():
    assert "__init__.py" in FILES


@pytest.mark.parametrize("file", FILES)
def test_a_file_imports_only_from_below(file):
    assert offences((PACKAGE / file).read_text(encoding="utf-8"), file) == []


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("_pauli.py", "from ._model import Model", "_model, which stands above"),
        ("_pauli.py", "from . import _model", "imports _model"),
        ("_pauli.py", "import qiskit_qep._model", "imports _model"),
        ("_pauli.py", "from qiskit_qep import _model", "imports _model"),
        ("_pauli.py", "def f():\n    from ._model import Model", ":2 imports _model"),
        ("_pauli.py", "if TYPE_CHECKING:\n  from . import _model", "imports _model"),
        ("_pauli.py", "importlib.import_module('qiskit_qep.cli')", "imports cli"),
        ("equilibria/exact.py", "from .._loss import sgd", "imports _loss"),
        ("equilibria/exact.py", "from .. import _loss", "imports _loss"),
        ("equilibria/a/b.py", "from ..._loss import sgd", "imports _loss"),
        ("runtime/groups.py", "from ..equilibria.exact import x", "imports equilibria"),
        ("runtime/groups.py", "import_module('..cli', __package__)", "imports cli"),
        ("cli.py", "import qiskit_qep as qep", "imports __init__, which stands above"),
        ("cli.py", "from . import train", "imports __init__"),
        ("cli.py", "from qiskit_qep import train", "imports __init__"),
        ("cli.py", "from ._novel import x", "imports _novel: add it to the house plan"),
        ("_novel.py", "", "add it to the house plan"),
        ("novel/exact.py", "", "add it to the house plan"),
    ],
)
def test_an_offence_is_seen(file, source, complaint):
    (offence,) = offences(source, file)
    assert complaint in offence


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("_model.py", "from ._pauli import x\nfrom . import _kernels"),
        ("_train.py", "from ._state import State"),  # its own line
        ("equilibria/__init__.py", "from .exact import Exact as Exact"),
        ("equilibria/sampled.py", "from . import exact\nfrom .exact import Exact"),
        ("equilibria/sampled.py", "from .._pauli import x\nfrom ..runtime.a import b"),
        ("torch.py", "import torch\nfrom torch import nn"),  # the library, not the file
        ("sklearn.py", "import_module('sklearn.base')"),
        ("__init__.py", "from .cli import main as main"),
    ],
)
def test_an_allowed_import_is_no_offence(file, source):
    assert offences(source, file) == []


def load(module, forbidden):
    """Import all names of a module in a fresh process; say what it loaded, printed."""
    code = (
        f"import sys\nfrom {module} import *\n"
        f"sys.exit(', '.join(sorted({set(forbidden)!r} & set(sys.modules))) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    return done.stdout + done.stderr


SLOW_TO_LOAD = (
    "matplotlib",
    "numba",
    "qiskit_aer",
    "qiskit_algorithms",
    "qiskit_ibm_runtime",
    "qiskit_nature",
    "scipy.linalg",
    "scipy.sparse",
)
# They may not even be there.
EXTRAS = (
    "dimod",
    "distributed",
    "dwave",
    "jax",
    "netket",
    "quimb",
    "sklearn",
    "torch",
)


def test_importing_is_silent_and_cheap():
    assert load("qiskit_qep", SLOW_TO_LOAD + EXTRAS) == ""


def test_an_expensive_import_is_seen():
    assert load("qiskit_aer", SLOW_TO_LOAD) == "qiskit_aer\n"


def undocumented(namespace):
    """Name what is public in a namespace and has no docstring of its own.

    A dataclass or NamedTuple without one gets "Name(field, ...)" from Python.
    """
    return [
        name
        for name, value in vars(namespace).items()
        if not name.startswith("_")
        and (not value.__doc__ or value.__doc__.startswith(f"{name}("))
    ]


def test_every_public_name_is_documented():
    names = qiskit_qep.__all__
    assert "gradient" in names
    lent = SimpleNamespace(**{name: getattr(qiskit_qep, name) for name in names})
    assert undocumented(lent) == []


def test_the_root_lends_no_foreign_module():
    every = [getattr(qiskit_qep, name) for name in dir(qiskit_qep)]
    lent = [x for x in every if isinstance(x, ModuleType)]
    assert [x for x in lent if not x.__name__.startswith("qiskit_qep.")] == []


def test_a_missing_docstring_is_seen():
    namespace = ModuleType("namespace")
    exec(
        "from dataclasses import make_dataclass as _make\n"
        "Phase = _make('Phase', ['values'])\n"
        "def gradient(): pass\n"
        "def predict(): 'Say what the model reads out.'\n"
        "def _private(): pass\n",
        vars(namespace),
    )
    assert undocumented(namespace) == ["Phase", "gradient"]


# Whatever could run code from a file. Prose is matched too: say "saved as JSON" there.
RUNS_CODE = re.compile(
    r"\b_?(c?pickle|cloudpickle|dill|marshal|shelve)\b"
    r"|allow_pickle\s*=\s*(?!False)"
    r"|(?<![\w.])(builtins\.)?(eval|exec)\s*\("  # torch's module.eval() is harmless
)


def lines_that_run_code(source):
    return [line for line in source.splitlines() if RUNS_CODE.search(line)]


@pytest.mark.parametrize("file", FILES)
def test_nothing_runs_code_from_a_file(file):
    assert lines_that_run_code((PACKAGE / file).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("line", "dangerous"),
    [
        ("import pickle", True),
        ("from dill import loads", True),
        ("import_module('pickle')", True),
        ("np.load(path, allow_pickle=True)", True),
        ("value = eval(text)", True),
        ("builtins.exec (text)", True),
        ("np.load(path, allow_pickle=False)", False),
        ("def evaluate(model): return retrieval(model)", False),
        ("module.eval()", False),
    ],
)
def test_code_that_runs_code_is_seen(line, dangerous):
    assert bool(lines_that_run_code(line)) is dangerous


@pytest.mark.parametrize("file", FILES)
def test_a_file_keeps_to_its_room(file):
    lines = len((PACKAGE / file).read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{file} has {lines} lines: move out what has a name"
