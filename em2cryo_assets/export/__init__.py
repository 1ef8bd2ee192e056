"""A study as a folder to publish: raw files, tables, meshes, parameters, citation. Reads the store, computes nothing."""
