"""EMPIAR as an archive to fetch tomograms from."""
