"""Units of length as microscopes and people write them.

Belongs here: one table from a unit's name to nanometres. Does not belong here: parsing of any format.
"""

from typing import Final

__all__ = ["nm_per"]

_NM: Final = {
    **dict.fromkeys(("å", "a", "angstrom", "angstroms"), 0.1),
    **dict.fromkeys(("nm", "nanometer", "nanometers", "nanometre"), 1.0),
    **dict.fromkeys(("um", "micron", "microns", "micrometer", "micrometers", "\\u00b5m"), 1e3),
    **dict.fromkeys(("mm", "millimeter"), 1e6),
    **dict.fromkeys(("m", "meter", "meters"), 1e9),
    "pm": 1e-3,
}


def nm_per(unit: str) -> float | None:
    """Nanometres in one unit of length; None for what is none.

    Both signs for micro (U+00B5, U+03BC), brackets, and the underscores of Berkeley's EMD (``[n_m]``) are known.
    """
    plain = unit.strip().strip("[]()").replace("_", "").replace("µ", "u").replace("μ", "u").lower()
    return _NM.get(plain)
