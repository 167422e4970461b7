"""Settings of all tests."""

import os

# Before NumPy is loaded: the tests' matrices are small, and on a busy machine the idle
# threads of BLAS wait for each other (180 ms instead of 0.15 ms for a 32 x 32 eigh).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from hypothesis import settings

# The first call of a kernel compiles it, which no deadline should count.
settings.register_profile("qiskit_qep", deadline=None, print_blob=True)
settings.load_profile("qiskit_qep")
