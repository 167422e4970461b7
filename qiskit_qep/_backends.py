"""Where circuits run: the name of a backend becomes a sampler.

No token passes through here. A device is reached by ``QiskitRuntimeService`` and an
account that its user has saved; what it raises may quote what was sent to it, so only
the kind of the fault is passed on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._keys import ConfigError, call, listed, meant
from ._model import pauli_terms
from .runtime.aer import AerSampler
from .runtime.devices import best_qubits, cut_backend
from .runtime.faults import classify
from .runtime.transpiled import Transpiled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qiskit.primitives import BaseSamplerV2

LOCAL, FAKE = ("exact", "aer"), "fake:"
LONGEST = 32  # characters of a name: a token of IBM's has 44
INSTALL = 'needs the IBM runtime: pip install "qiskit-qep[ibm]"'


@dataclass(frozen=True, eq=False)
class Connection:
    """A sampler for circuits of one model, and where its jobs are found again.

    Attributes:
        name: Of the backend.
        sampler: As ``Prepared`` takes it.
        service: That knows the jobs; None for simulators.
    """

    name: str
    sampler: Any
    service: Any = field(default=None, repr=False)


def is_device(name: str | None) -> bool:
    """Say whether jobs of a backend cost QPU time."""
    return name is not None and name not in LOCAL and not name.startswith(FAKE)


def check_name(what: str, name: str) -> None:
    """Refuse what is no name, without showing it: it may be a token.

    Raises:
        ConfigError: If it is none.
    """
    plain = name.removeprefix(FAKE).translate(dict.fromkeys(map(ord, "-_.")))
    if not (len(name) <= LONGEST and plain.isascii() and plain.isalnum()):
        raise ConfigError(
            f"{what} should be a name of at most {LONGEST} letters, digits, -, _ and "
            "., and never a token; what it is now is not shown"
        )


def connect(
    name: str, operators: Sequence[Any], *, account: str | None = None, seed: int = 0
) -> Connection:
    """Return a sampler for circuits with these operators.

    Args:
        name: "exact" (statevectors, ideal shots), "aer", "fake:torino" and the like
            (the best qubits of a device, simulated with its errors), or a backend of
            the saved IBM account.
        operators: Of a Pauli model.
        account: Name under which the account was saved; the default one without.
        seed: Of the transpiler.

    Raises:
        ConfigError: If there is no such backend, or it is too small.
    """
    check_name("backend", name)
    if name == "exact":
        return Connection(name, _statevector)
    if name == "aer":
        return Connection(name, AerSampler)
    terms = call("", pauli_terms, operators=operators)
    supports = [int(x | z) for x, z in zip(terms.flips, terms.signs, strict=True)]
    bonds = {s for s in supports if s.bit_count() > 1}
    chain = bool(bonds) and all(s & s >> 1 and s.bit_count() == 2 for s in bonds)
    shape = {"num_qubits": terms.num_qubits, "shape": "chain" if chain else "any"}
    seed %= 1 << 31
    if name.startswith(FAKE):
        fake = _fake(name.removeprefix(FAKE))
        shape["num_qubits"] = max(2, terms.num_qubits)
        part = cut_backend(fake, call("", best_qubits, backend=fake, **shape))
        where = range(terms.num_qubits) if chain else None
        return Connection(name, _Simulated(part, seed, where))
    service, backend = _device(name, account)
    qubits = call("", best_qubits, backend=backend, **shape) if chain else None
    sampler = import_module("qiskit_ibm_runtime.executor_sampler").SamplerV2
    device = Transpiled(sampler(mode=backend), backend, seed=seed, qubits=qubits)
    return Connection(name, device, service)


def _statevector(seed: int) -> BaseSamplerV2:
    import numpy as np
    from qiskit.primitives import StatevectorSampler

    return StatevectorSampler(seed=np.random.default_rng(seed))


@dataclass(frozen=True, eq=False)
class _Simulated:
    """A function from a seed to a sampler of a simulated device."""

    backend: Any
    transpiler_seed: int
    qubits: Sequence[int] | None

    def __call__(self, seed: int) -> BaseSamplerV2:
        return Transpiled(
            AerSampler(seed, self.backend),
            self.backend,
            seed=self.transpiler_seed,
            qubits=self.qubits,
        )


def _fake(name: str) -> Any:
    """Return a fake backend of the runtime by its name without "fake_"."""
    try:
        provider = import_module("qiskit_ibm_runtime.fake_provider")
    except ImportError:
        raise ConfigError(f"{FAKE}{name} {INSTALL}") from None
    known = {
        maker.backend_name.removeprefix("fake_"): maker
        for maker in vars(provider).values()
        if hasattr(maker, "backend_name")
    }
    if name not in known:
        raise ConfigError(
            f"there is no fake backend {name!r}{meant(name, known)}; there are "
            f"{listed(sorted(known))}"
        )
    return known[name]()


def _device(name: str, account: str | None) -> tuple[Any, Any]:
    """Return the service of a saved account, and its backend."""
    try:
        runtime = import_module("qiskit_ibm_runtime")
    except ImportError:
        raise ConfigError(f"backend {name!r} {INSTALL}") from None
    whose = f"the account saved as {account!r}" if account else "the saved IBM account"
    try:
        service = runtime.QiskitRuntimeService(**({"name": account} if account else {}))
        return service, service.backend(name, use_fractional_gates=True)
    except Exception as error:
        fault = classify(error)
        kind = type(error).__name__ + f" ({fault})" * (fault != "other")
        raise ConfigError(
            f"no backend {name!r} by {whose}{meant(name, LOCAL)}: {kind}; save one by "
            "QiskitRuntimeService.save_account, ask its backends() for names, or use "
            "exact, aer or fake:NAME"
        ) from None
