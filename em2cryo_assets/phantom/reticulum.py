"""Cortical endoplasmic reticulum: a sheet with holes close under the plasma membrane.

Belongs here: where it lies and how much of it is about a point. Does not belong here: what its two membranes look
like (`membranes`). The vocabulary has no word for it: its label stays cytoplasm.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.phantom.body import Body, columns
from em2cryo_assets.phantom.membranes import ENVELOPE, share_inside
from em2cryo_assets.phantom.priors import PRIORS, draw
from em2cryo_assets.phantom.waves import Waves, draw_waves

__all__ = ["Reticulum", "draw_reticulum"]

FloatArray = NDArray[np.float64]

# As thick as the nuclear envelope, of which it is a part; tubules and sheets measured 36 to 38 nm (West 2011).
_HALF_NM = 0.5 * PRIORS["envelope_thickness"].mean


@dataclass(frozen=True)
class Reticulum:
    """Patches of a sheet that runs at one depth below the plasma membrane.

    It ends 65 nm below that membrane, where no organelle begins (`gap` is 70 nm).

    Parameters
    ----------
    waves : Waves
        Pattern in space; the sheet is where it exceeds `level`.
    level : float
        In standard deviations of the pattern.
    """

    waves: Waves
    level: float

    def beyond_nm(self, zyx_nm: FloatArray) -> FloatArray:
        """Distance along the sheet to its nearest rim at points (3, N), (N,), nm, negative in a patch.

        Of first order, that is good near rims.
        """
        values, slope = self.waves.values_and_slope(zyx_nm)
        # Steep at most rims (0.007/nm on the mean); where it is flat, so are the rims far.
        return np.asarray((self.level - values) / np.maximum(slope, 1e-3), dtype=np.float64)

    def shares(
        self, zyx_nm: FloatArray, cortex_nm: FloatArray, softness_nm: float
    ) -> tuple[NDArray[np.intp], FloatArray, FloatArray]:
        """What of the sheet is about points.

        Parameters
        ----------
        zyx_nm : numpy.ndarray, shape (3, N)
            Positions in the frame of the cell.
        cortex_nm : numpy.ndarray, shape (N,)
            Signed distance to the inner face of the plasma membrane, negative inside.
        softness_nm : float
            Width of the transition at an interface.

        Returns
        -------
        index : numpy.ndarray, shape (M,)
            The points that have any.
        layer : numpy.ndarray, shape (M,)
            Its share as a plain layer.
        matter : numpy.ndarray, shape (M,)
            Its matter with membranes and lumen, `layer` where samples are too soft for them.
        """
        middle = cortex_nm + PRIORS["reticulum_depth"].mean + _HALF_NM
        near = np.flatnonzero(np.abs(middle) < _HALF_NM + 0.5 * softness_nm)
        if not near.size:
            return near, np.zeros(0), np.zeros(0)
        beyond, middle = self.beyond_nm(zyx_nm[:, near]), middle[near]
        if softness_nm >= 2.0 * _HALF_NM:
            # No sample lies whole in the sheet: shares of two faces keep its mass, those of a rounded body do not.
            layer = share_inside(middle - _HALF_NM, softness_nm) - share_inside(middle + _HALF_NM, softness_nm)
            layer = layer * share_inside(beyond, softness_nm)
            return near, layer, layer
        # Rims are round, and the membrane runs about them.
        distance = np.hypot(np.maximum(beyond + _HALF_NM, 0.0), middle) - _HALF_NM
        layer = share_inside(distance, softness_nm)
        return near, layer, ENVELOPE.matter(distance, layer, softness_nm)


def draw_reticulum(body: Body, rng: np.random.Generator) -> Reticulum:
    """Draw the patches of one cell.

    Parameters
    ----------
    body : Body
        Outer surface.
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    Reticulum
        Over the prior's share of the mother's surface.
    """
    waves = draw_waves(16, draw("reticulum_length", rng), (0.6, 1.5), rng)
    points = rng.normal(size=(2000, 3))
    points *= np.cbrt(np.prod(body.mother.semi_axes_nm)) / np.linalg.norm(points, axis=1, keepdims=True)
    # On the cortex itself: the pattern changes over the way from the sphere to it.
    for _ in range(3):
        points -= (body.distance(points, exact=False) + 200.0)[:, None] * body.gradient(points)
    level = float(np.quantile(waves.values(columns(points)), 1.0 - draw("reticulum_cover", rng)))
    return Reticulum(waves, level)
