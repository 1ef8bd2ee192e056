"""Pseudo-3D cells against cryo-ET: matched degradation, descriptors, controls, statistics, verdicts. Knows no Dagster."""
