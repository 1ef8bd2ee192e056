"""Simulated yeast: one scene of a cell, looked at by simulated microscopes.

Belongs here: the simulated population, its pictures, and the demo study made of them.
Does not belong here: any analysis; what is simulated must be measurable without knowing how it was made.
"""

from em2cryo_assets.phantom.scene import Cell, Sample, Truth, draw_cell
from em2cryo_assets.phantom.study import DEMO_SEED, write_study

__all__ = ["DEMO_SEED", "Cell", "Sample", "Truth", "draw_cell", "write_study"]
