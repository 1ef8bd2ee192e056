"""The static report: figures, page and 3-D viewer, opened from disk without a server.

Belongs here: how results are shown. Does not belong here: computing, reading or storing any of
them. It knows no Dagster, no store and no science: arrays, meshes, tables and words in, files out.
"""
