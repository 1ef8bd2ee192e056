"""Scanning electron microscopy: from a field to cells, from a cell to a closed mesh."""

from em2cryo_assets.sem.masks import segment_cells

__all__ = ["segment_cells"]
