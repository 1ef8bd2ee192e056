"""Fusion of one SEM shape with the population's TEM interior: a pseudo-volume that says what it is."""
