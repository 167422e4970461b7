"""Small data sets ``(x, y)`` with stated codings: toys, files, two phase diagrams.

Inputs x are (num_samples, num_inputs). Targets y are real (num_samples, num_readout),
for `squared_error`, or class numbers (num_samples,), for `cross_entropy`. Without bias
fields a network of ZZ and X terms with inputs on Z obeys p(-x) = -p(x): it learns odd
sets only, such as centred moons and spirals, not XOR.
"""

from .files import breast_cancer as breast_cancer
from .files import digits as digits
from .files import iris as iris
from .files import wine as wine
from .phases import cluster_ising as cluster_ising
from .phases import kitaev_honeycomb as kitaev_honeycomb
from .sets import split as split
from .toys import moons as moons
from .toys import parity as parity
from .toys import spirals as spirals
from .toys import xor as xor
