"""One thread for everybody. Libraries read this when they are loaded: NumPy is not."""


def one_thread() -> dict[str, str]:
    """Return the environment in which every library computes on one thread."""
    names = ("NUMBA", "OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM")
    eigen = "--xla_cpu_multi_thread_eigen=false"
    return {f"{name}_NUM_THREADS": "1" for name in names} | {
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_X64": "1",
        "XLA_FLAGS": f"{eigen} intra_op_parallelism_threads=1",
    }
