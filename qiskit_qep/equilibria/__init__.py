"""The ways to settle: one file each; all of them implement ``Equilibrium``."""
