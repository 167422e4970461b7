"""Models people work on, as ready-made ``Model`` factories."""

from .elastic import elastic_network as elastic_network
from .encodings import fock as fock
from .encodings import position_grid as position_grid
from .ising import transverse_field_ising as transverse_field_ising
from .oscillators import oscillator_network as oscillator_network
