"""Volumes of a study in viewers of others: what is shown (`layers`), and how each viewer is told."""
