"""How loops are compiled, and what numba has no words for: counters, calls by address.

Only importing this file, or one that builds on it, loads numba.
"""

import logging
import sys
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import event
from numba.extending import intrinsic

# Sums may be reordered (SIMD); NaN and infinity keep their meaning.
how: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz", "arcp"},
}
jit = numba.njit(cache=True, **how)
inline = numba.njit(inline="always", **how)  # a tile stays in registers only so
U = np.uint64  # unsigned indices: a signed one needs a wrap-around check, so no SIMD


class Notice(event.Listener):
    """Says once why a first call takes long: nothing else of it is seen."""

    def __init__(self) -> None:
        self.given = False

    def on_start(self, event: Any) -> None:
        """Speak up where a function of ours is not in the cache on disk."""
        module = event.data["dispatcher"].py_func.__module__
        if module.startswith("qiskit_qep.") and not self.given:
            self.given = True
            logging.getLogger("qiskit_qep").warning(
                "qiskit_qep compiles for this machine, which is done once and takes "
                "up to a minute"
            )

    def on_end(self, event: Any) -> None:
        """Say nothing."""


event.register("numba:compile", Notice())


@intrinsic
def count_up(_, counter):
    """Add one to an array of one int64, at once for all threads."""

    def generate(context, builder, _, args):
        data = context.make_array(counter)(context, builder, args[0]).data
        builder.atomic_rmw("add", data, ir.IntType(64)(1), "seq_cst")
        return context.get_dummy_value()

    return types.void(counter), generate


@intrinsic
def current(_, counter):
    """Return what other threads have counted up to by now."""

    def generate(context, builder, _, args):
        data = context.make_array(counter)(context, builder, args[0]).data
        return builder.load_atomic(data, "seq_cst", 8)

    return types.int64(counter), generate


@intrinsic
def call(_, address, a, b, c, d):
    """Call a compiled function of four arguments that returns a float64.

    By name, the compiler would build it again within every caller and within their
    callers: this way it is built once. The address has to be of a function compiled
    for just these types.
    """
    kinds = (a, b, c, d)

    def generate(context, builder, _, args):
        convention = context.call_conv
        kind = convention.get_function_type(types.float64, kinds)
        function = builder.inttoptr(args[0], kind.as_pointer())
        done = convention.call_function(
            builder, function, types.float64, kinds, args[1:]
        )
        return done[1]

    return types.float64(types.int64, *kinds), generate


def address_of(dispatcher, *examples):
    """Compile a function for the types of some arguments and return where it is."""
    kinds = tuple(numba.typeof(example) for example in examples)
    dispatcher.compile(kinds)
    made = dispatcher.overloads[kinds]
    return made.library.get_pointer_to_function(made.fndesc.llvm_func_name)


if sys.platform == "win32":

    @jit
    def give_way():
        """Wait."""
        return 0

else:  # waiting with the processor in hand would keep another thread from work
    give_way = types.ExternalFunction("sched_yield", types.int32())
