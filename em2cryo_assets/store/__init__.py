"""The store: immutable artifacts by digest, and the formats they are written in. Knows no Dagster."""

from em2cryo_assets.store.mrc_to_ome_zarr import mrc_to_ome_zarr

__all__ = ["mrc_to_ome_zarr"]
