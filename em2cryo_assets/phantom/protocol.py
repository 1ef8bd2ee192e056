"""What a simulated microscope needs to know of its specimen.

Belongs here: the interface between scenes and microscopes, and the check of ranges that settings share. Does not
belong here: any scene (`scene`, `label_scene`) or microscope (`pile`, `tem`, `cryo`, `tilt_series`, `soft_x_ray`).
"""

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scene", "Surface", "check_range"]


def check_range(
    name: str, value: float, least: float, most: float = math.inf, *, above: bool = False, unit: str = ""
) -> None:
    """Refuse a setting that no instrument has.

    Parameters
    ----------
    name : str
        Of the setting, for the message.
    value : float
        What was given.
    least, most : float
        Range, both ends allowed.
    above : bool
        Whether `least` itself is refused.
    unit : str
        Of the three numbers, for the message.

    Raises
    ------
    ValueError
        If the value is no finite number or beyond the range.
    """
    if math.isfinite(value) and least <= value <= most and not (above and value == least):
        return
    lower = f"{'above' if above else 'at least'} {least:g}" if math.isfinite(least) else ""
    upper = f"at most {most:g}" if math.isfinite(most) else ""
    wanted = " and ".join(part for part in ("finite", lower, upper) if part)
    raise ValueError(f"{name} is {value!r}; it has to be {wanted}{unit and ' ' + unit}.")


class Surface(Protocol):
    """The smooth outer surface of a cell as a signed distance, in the frame of the cell, (z, y, x), nm."""

    def distance(self, points_nm: NDArray[np.float64], *, exact: bool = True) -> NDArray[np.float64]:
        """Signed distance (N, 3) to (N,), negative inside; only the zero level counts where not `exact`."""
        ...

    def gradient(self, points_nm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Outward normals of the surfaces of constant distance, (N, 3) to unit vectors (N, 3)."""
        ...

    def half_extent_nm(self) -> float:
        """Radius of a sphere about the origin that holds the whole cell."""
        ...

    def support_nm(self, direction: NDArray[np.float64]) -> float:
        """How far the cell reaches from the origin along a unit vector (3,)."""
        ...


class Scene(Protocol):
    """Anything that can be sampled as a cell: a drawn one (`scene.Cell`) or a label volume (`LabelScene`)."""

    @property
    def body(self) -> Surface:
        """Outer surface, without scars."""
        ...

    @property
    def raised_nm(self) -> float:
        """No scar or other thing on the body is higher, nm."""
        ...

    @property
    def longest_stride(self) -> float:
        """Times the outer distance that a ray may step on where its last steps seem to allow it, 0.85 or more.

        At 0.85 a ray passes no surface whose distance is at most the true one; more may be allowed only where the
        distance along a ray is convex.
        """
        ...

    def outer_distance(self, points_nm: NDArray[np.float64], *, exact: bool = True) -> NDArray[np.float64]:
        """Signed distance to the outside of the wall with all that sits on it, (N, 3) to (N,)."""
        ...

    def coverage(self, points_nm: NDArray[np.float64], softness_nm: float) -> NDArray[np.float32]:
        """Share of every material (`contrast.MATERIALS`) about each point, (..., 3) to (12, ...).

        Sums to 1, but in a membrane sampled finely enough to have leaflets or pores only on the mean.
        """
        ...

    def labels(self, points_nm: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Label code (`vocabulary.LABELS`) at each point, (..., 3) to (...)."""
        ...

    def sharp(self, zyx: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Material (index into `contrast.MATERIALS`) and label code at columns of points, (3, N) to two (N,)."""
        ...
