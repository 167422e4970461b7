"""Settings of all tests."""

from hypothesis import settings

# The first call of a kernel compiles it, which no deadline should count.
settings.register_profile("qiskit_qep", deadline=None, print_blob=True)
settings.load_profile("qiskit_qep")
