"""Declared schema of the cells found in an SEM field.

Belongs here: columns, types and what each means. Does not belong here: how the numbers come about (`sem.records`).
"""

import pandera.pandas as pa

from em2cryo_assets.store.columns import count, flag, number, text

__all__ = ["FIELD_CELLS"]

FIELD_CELLS = pa.DataFrameSchema(
    {
        "label": count("number of the cell in the labels, which it keeps when the field is labelled anew"),
        "y0": count("first row of the box around it, px"),
        "x0": count("first column, px"),
        "y1": count("row after the last, px"),
        "x1": count("column after the last, px"),
        "area_um2": number("visible area, µm²"),
        "occluded_fraction": number("share hidden by other cells, 0 to 1"),
        "touches_border": flag("whether the border of the field, or what is no image, cuts it"),
        "comparable": flag("whether it may enter a comparison"),
        "edge_support": number("share of its outline along which an edge is seen, 0 to 1"),
        "possible_mother": count("number of the larger cell that it may be a bud of; 0: none"),
        "why_not_comparable": text("why it may not be compared; empty where it may"),
    },
    strict=True,
)
