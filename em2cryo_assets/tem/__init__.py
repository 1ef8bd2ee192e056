"""Sections of other cells: labelling them, and the interior atlas they add up to."""
