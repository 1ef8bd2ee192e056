"""Tomograms and whole-cell volumes: reading, reconstructing, labelling, and the arc of the wall."""
