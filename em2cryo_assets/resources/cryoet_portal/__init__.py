"""The CryoET Data Portal as an archive to fetch tomograms from."""
