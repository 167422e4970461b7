"""Models people work on, as ready-made ``Model`` factories."""

from .ising import transverse_field_ising as transverse_field_ising
from .oscillators import oscillator_network as oscillator_network
