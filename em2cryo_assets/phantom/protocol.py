"""What a simulated microscope needs to know of its specimen.

Belongs here: the interface between scenes and microscopes. Does not belong here: any scene (`scene`,
`label_scene`) or microscope (`tem`, `cryo`, `tilt_series`, `soft_x_ray`).
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scene", "Surface"]


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


class Scene(Protocol):
    """Anything that can be sampled as a cell: a drawn one (`scene.Cell`) or a label volume (`LabelScene`)."""

    @property
    def body(self) -> Surface:
        """Outer surface, without scars."""
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
