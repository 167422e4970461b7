"""Train quantum systems by Quantum Equilibrium Propagation (arXiv:2406.00879).

``__init__.pyi`` lists the public names; each is loaded when it is first used.
"""

from lazy_loader import attach_stub as _attach_stub

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = _attach_stub(__name__, __file__)
