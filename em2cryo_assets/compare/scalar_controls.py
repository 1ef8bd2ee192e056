"""Fakes for characteristics that are one number a cell, and why each is a fake.

Belongs here: the mean and spread that each fake would show. Does not belong here: fakes that are volumes
(`controls`), or what follows when one passes (`verdicts`).
"""

from collections.abc import Mapping
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import elliprg

from em2cryo_assets.compare.statistics import Sample
from em2cryo_assets.vocabulary import ORGANELLES

__all__ = ["ScalarControl", "ellipsoid_values", "scalar_controls"]

_THICKNESS_IGNORED: Final = 1.25
"""Median bias of the opaque wall width of random cuts through 80 nm sections: a mistake that is made."""

_DRAWS: Final = 2000


class ScalarControl(NamedTuple):
    """What the units of a fake would read.

    Parameters
    ----------
    name : str
        Key of its words in `sentences`.
    mean, sd : float
        In the unit of the characteristic.
    """

    name: str
    mean: float
    sd: float


def scalar_controls(
    characteristic: str,
    model: Sample,
    reference: Sample,
    shares: Mapping[str, float],
    delta: float,
) -> list[ScalarControl]:
    """List the valid fakes of one characteristic.

    - Proportions and symmetry: a random ellipsoid and a sphere of the same volume. Both know the size only.
    - Sizes: those ellipsoids have the right volume and are no fake; a cell of the other ploidy, half or
      twice the volume, is.
    - Wall: a section's thickness ignored, which reads the wall 25 % too thick. A guess from the literature
      is no control: it may happen to be right.
    - Shares: the homogeneous interior, with none; and each other organelle's share in its place, where the
      two differ by more than 2 δ on the model's own side (equal shares exchanged destroy nothing).

    Parameters
    ----------
    characteristic : str
        Name.
    model, reference : Sample
        As observed.
    shares : mapping of str to float
        Organelle to its share on the model's side.
    delta : float
        Margin on the log scale, for the validity of exchanged shares.

    Returns
    -------
    list of ScalarControl
        Empty where no fake is known.
    """
    sd = float(np.sqrt(model.variance)) if model.n > 1 else 0.0
    if characteristic == "log_volume":
        return [ScalarControl(name, reference.mean + s * np.log(2), sd) for name, s in _PLOIDY]
    if characteristic == "log_wall_radius":
        return [ScalarControl(name, reference.mean + s * np.log(2) / 3, sd) for name, s in _PLOIDY]
    if characteristic == "wall_thickness":
        return [ScalarControl("thickness_ignored", _THICKNESS_IGNORED * reference.mean, _THICKNESS_IGNORED * sd)]
    if characteristic.startswith("fraction_"):
        own = characteristic.removeprefix("fraction_")
        made = [ScalarControl("homogeneous", 0.0, 0.0)]
        for other in ORGANELLES:
            share = shares.get(other, float("nan"))
            if other != own and share > 0 and model.mean > 0 and abs(np.log(share / model.mean)) > 2 * delta:
                made.append(ScalarControl(f"share_of_{other}", share, sd * share / model.mean))
        return made
    values = _ellipsoids()
    if characteristic not in values:
        return []
    drawn = values[characteristic]
    round_value = 0.0 if characteristic.endswith("asymmetry") else 1.0
    return [
        ScalarControl("random_ellipsoid", float(drawn.mean()), float(drawn.std(ddof=1))),
        ScalarControl("sphere", round_value, 0.0),
    ]


_PLOIDY: Final = (("half_volume", -1.0), ("twice_volume", 1.0))


def ellipsoid_values(axes: NDArray[np.float64], normals: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Compute the shape values of ellipsoids in closed form.

    Parameters
    ----------
    axes : numpy.ndarray, float64, shape (n, 3)
        Semi-axes, descending, any unit.
    normals : numpy.ndarray, float64, shape (n, 3)
        Unit normal of the plane that cuts each, in its principal frame.

    Returns
    -------
    dict of str to numpy.ndarray, shape (n,)
        axis_ratio; sphericity (area 4π abc R_G(a⁻², b⁻², c⁻²), Carlson); outline_axis_ratio of the cut (all
        parallel cuts are similar) and silhouette_axis_ratio along the normal; axial_asymmetry about the long axis
        (root mean square over the sphere of the radius less its mean around the axis, over its mean);
        mirror_asymmetry (0).
    """
    a, b, c = axes.T
    product = axes.prod(axis=1)
    area = 4 * np.pi * product * elliprg(a**-2.0, b**-2.0, c**-2.0)
    forms = axes[:, :, None] ** -2.0 * np.eye(3)
    plane = np.linalg.svd(normals[:, None, :])[2][:, 1:, :]
    eigen = np.linalg.eigvalsh(plane @ forms @ plane.transpose(0, 2, 1))
    shadow = np.linalg.eigvalsh(plane @ (axes[:, :, None] ** 2.0 * np.eye(3)) @ plane.transpose(0, 2, 1))
    nodes, weights = np.polynomial.legendre.leggauss(24)
    phi = np.arange(48) * (2 * np.pi / 48)
    ring = np.sqrt(1 - nodes**2)[:, None]
    direction = np.stack(np.broadcast_arrays(nodes[:, None], ring * np.cos(phi), ring * np.sin(phi)))
    radius = np.einsum("ni,ijk->njk", axes**-2.0, direction**2) ** -0.5
    around = radius.mean(axis=2, keepdims=True)
    varying = ((radius - around) ** 2).mean(axis=2) @ weights / 2
    return {
        "axis_ratio": a / c,
        "sphericity": np.pi ** (1 / 3) * (8 * np.pi * product) ** (2 / 3) / area,
        "outline_axis_ratio": np.sqrt(eigen[:, 1] / eigen[:, 0]),
        "silhouette_axis_ratio": np.sqrt(shadow[:, 1] / shadow[:, 0]),
        "axial_asymmetry": np.sqrt(varying) / (around[:, :, 0] @ weights / 2),
        "mirror_asymmetry": np.zeros(len(axes)),
    }


@cache
def _ellipsoids() -> dict[str, NDArray[np.float64]]:
    """Random ellipsoids as `controls.random_ellipsoid` draws them: two axis ratios log-uniform in 1 to 2."""
    rng = np.random.default_rng(0)
    ratios = np.sort(np.exp(rng.uniform(0, np.log(2), (_DRAWS, 2))), axis=1)
    axes = np.stack([np.ones(_DRAWS), 1 / ratios[:, 0], 1 / ratios[:, 1]], axis=1)
    normals = rng.normal(size=(_DRAWS, 3))
    return ellipsoid_values(axes, normals / np.linalg.norm(normals, axis=1, keepdims=True))
