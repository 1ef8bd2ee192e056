"""A whole simulated cell: one description that every simulated microscope looks at.

Belongs here: what lies where in a cell, sampled at any points, sharp (labels) or as shares of materials.
Does not belong here: noise, blur, projection, files.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.geometry.grid import Grid
from em2cryo_assets.phantom.body import Body, columns, draw_body
from em2cryo_assets.phantom.contrast import LABEL_OF_MATERIAL, MATERIALS, nominal
from em2cryo_assets.phantom.membranes import BILAYER, ENVELOPE, share_inside
from em2cryo_assets.phantom.organelles import Organelles, draw_organelles
from em2cryo_assets.phantom.priors import PRIORS, draw
from em2cryo_assets.phantom.reticulum import Reticulum, draw_reticulum
from em2cryo_assets.phantom.truth import Truth, measured
from em2cryo_assets.phantom.wall_relief import Furrows, Scar, draw_furrows, height_nm
from em2cryo_assets.vocabulary import LABELS

__all__ = ["Cell", "Sample", "Scar", "Truth", "body_of", "draw_cell", "grid_points"]

FloatArray = NDArray[np.float64]

_FRINGE_NM = 22.0
_CRISTA_PERIOD_NM = 95.0
_CHUNK = 20_000
"""Points at a time: their arrays stay in the cache (at 200,000 the same work takes 1.6 times as long)."""
_CODE = {name: i for i, name in enumerate(MATERIALS)}


@dataclass(frozen=True)
class Sample:
    """What `Cell.sample` found.

    Parameters
    ----------
    labels : numpy.ndarray, uint8
        Codes of `vocabulary.LABELS` at the points.
    density : numpy.ndarray, float32
        Density at the points, high = dense.
    """

    labels: NDArray[np.uint8]
    density: NDArray[np.float32]


@dataclass(frozen=True)
class Cell:
    """One cell of the simulated population, in its own frame.

    The mother's centre is the origin and her long axis is x. Positions are (z, y, x) in nm.

    Parameters
    ----------
    body : Body
        Outer surface.
    organelles : Organelles
        Bodies inside.
    scars : tuple of Scar
        Rings on the wall.
    wall_nm : float
        Mean thickness of the wall along its normal.
    reticulum : Reticulum or None
        Cortical endoplasmic reticulum; it shows in shares of materials, not in labels or what `sharp` paints.
    furrows : Furrows or None
        Corrugation of the wall's outer face.
    """

    body: Body
    organelles: Organelles
    scars: tuple[Scar, ...]
    wall_nm: float
    reticulum: Reticulum | None = None
    furrows: Furrows | None = None

    @property
    def raised_nm(self) -> float:
        """No scar is higher, nm: a ring and its plateau reach 1.35 times 110 nm."""
        return 150.0

    @property
    def longest_stride(self) -> float:
        """Times the outer distance that a ray may step on where its last steps seem to allow it."""
        # The distance along a ray is convex without a bud, and nearly so where only scars and furrows are in the way.
        return 0.85 if self.body.bud is not None else 2.5 if self.scars or self.furrows is not None else 4.0

    def outer_distance(self, points_nm: FloatArray, *, exact: bool = True) -> FloatArray:
        """Signed distance to the outside of the wall with its scars and furrows, (N, 3) to (N,), nm."""
        zyx = columns(points_nm)
        distance = self.body.distance_of_columns(zyx, exact=exact)
        return distance - self.height_nm(zyx, distance)

    def height_nm(self, zyx: FloatArray, distance: FloatArray) -> FloatArray:
        """Height of scars and furrows at columns (3, N), given the distance to the smooth body, (N,), nm."""
        return height_nm(zyx, distance, self.scars, self.furrows)

    def coverage(self, points_nm: FloatArray, softness_nm: float) -> NDArray[np.float32]:
        """Share of every material in a small ball about each point.

        Shares are linear in the distance to each interface and those of one interface cancel, so that
        layers thinner than the ball keep their total mass; a small round body gains s²/4r² (`soft_x_ray` samples
        finely for that). Below its `Layering.merged_nm` a membrane's share counts its matter, up to 1.8 in a leaflet
        and 0.45 between the two.

        Parameters
        ----------
        points_nm : numpy.ndarray, float64, shape (..., 3)
            Positions in the frame of the cell, (z, y, x).
        softness_nm : float
            Width of the transition at an interface; the spacing of the samples is a good choice.

        Returns
        -------
        numpy.ndarray, float32, shape (12, ...)
            In the order of `contrast.MATERIALS`; sums to 1 at each point, within a membrane on the mean.
        """
        flat = np.asarray(points_nm, dtype=np.float64).reshape(-1, 3)
        out = np.zeros((len(MATERIALS), len(flat)), dtype=np.float32)
        reach = self.body.half_extent_nm() + 200.0
        inside = np.flatnonzero(np.einsum("ij,ij->i", flat, flat) < reach**2)
        out[0] = 1.0
        for start in range(0, inside.size, _CHUNK):
            block = inside[start : start + _CHUNK]
            out[:, block] = self._coverage(columns(flat[block]), softness_nm)
        return out.reshape(len(MATERIALS), *np.shape(points_nm)[:-1])

    def _coverage(self, p: FloatArray, softness: float) -> NDArray[np.float32]:
        membrane = PRIORS["membrane_thickness"].mean
        smooth = self.body.distance_of_columns(p)
        outer = smooth - self.height_nm(p, smooth)
        inner = smooth + self.wall_nm
        cortex = inner + membrane
        inside = partial(share_inside, softness_nm=softness)
        share = {name: np.zeros_like(smooth) for name in MATERIALS}
        in_outer, in_inner = inside(outer), inside(inner)
        in_fringe = inside(outer + _FRINGE_NM)
        in_cortex = inside(cortex)
        share["outside"] = 1.0 - in_outer
        share["fringe"] = in_outer - np.maximum(in_fringe, in_inner)
        share["wall"] = np.maximum(in_fringe, in_inner) - in_inner
        share["membrane"] = BILAYER.matter(inner, in_inner - in_cortex, softness)
        rest = in_cortex
        deep = np.flatnonzero(cortex < softness)
        if deep.size:
            bodies, excess = self._bodies(p[:, deep], cortex[deep], softness)
            for name, values in bodies.items():
                share[name][deep] += values
                rest[deep] -= values
            share["envelope"][deep] += excess
            if self.reticulum is not None:
                near, layer, matter = self.reticulum.shares(p[:, deep], cortex[deep], softness)
                # What soft samples have of a body beside it goes first.
                kept = np.minimum(layer, np.maximum(rest[deep[near]], 0.0))
                share["envelope"][deep[near]] += matter * kept / np.maximum(layer, 1e-12)
                rest[deep[near]] -= kept
        share["cytoplasm"] = np.maximum(rest, 0.0)
        return np.stack([share[name] for name in MATERIALS]).astype(np.float32)

    def _bodies(self, p: FloatArray, cortex: FloatArray, softness: float) -> tuple[dict[str, FloatArray], FloatArray]:
        """Shares of what lies inside the plasma membrane; what leaflets and pores add to the envelopes' share."""
        membrane, envelope = PRIORS["membrane_thickness"].mean, PRIORS["envelope_thickness"].mean
        inside = partial(share_inside, softness_nm=softness)
        nucleus = self.organelles.nucleus.distance(p)
        in_nucleus, in_chromatin = inside(nucleus), inside(nucleus + envelope)
        in_nucleolus = np.minimum(inside(self.organelles.nucleus.nucleolus_distance(p, nucleus)), in_chromatin)
        vacuole = self.organelles.vacuole_distance(p, nucleus, cortex)
        in_vacuole, in_sap = inside(vacuole), inside(vacuole + membrane)
        out = {
            "nucleus": in_chromatin - in_nucleolus,
            "nucleolus": in_nucleolus,
            "vacuole": in_sap,
            "lipid_droplet": inside(self.organelles.droplet_distance(p)),
            "mitochondrion": np.zeros_like(cortex),
            "cristae": np.zeros_like(cortex),
        }
        rims = in_nucleus - in_chromatin + in_vacuole - in_sap
        pores, layer = self.organelles.nucleus.pores, in_nucleus - in_chromatin
        excess = pores.opened(p, ENVELOPE.matter(nucleus, layer, softness), layer, softness) - layer
        layer = in_vacuole - in_sap
        excess += BILAYER.matter(vacuole, layer, softness) - layer
        for tube in self.organelles.tubes:
            distance, along = tube.distance(p, softness)
            in_tube, in_matrix = inside(distance), inside(distance + membrane)
            # Cristae stand across the tube and touch one side of it or the other.
            stripe = _cristae(along)
            layer = in_tube - in_matrix
            rims += layer
            excess += BILAYER.matter(distance, layer, softness) - layer
            out["cristae"] += in_matrix * stripe
            out["mitochondrion"] += in_matrix * (1.0 - stripe)
        out["envelope"] = rims
        return out, excess

    def _body_distances(self, p: FloatArray, smooth: FloatArray, margin_nm: float) -> dict[str, FloatArray]:
        """Signed distance to each kind of organelle with its envelope, given the distance to the body."""
        nucleus = self.organelles.nucleus.distance(p)
        cortex = smooth + self.wall_nm + PRIORS["membrane_thickness"].mean
        tubes = np.full_like(smooth, np.inf)
        for tube in self.organelles.tubes:
            np.minimum(tubes, tube.distance(p, margin_nm)[0], out=tubes)
        return {
            "nucleus": nucleus,
            "vacuole": self.organelles.vacuole_distance(p, nucleus, cortex),
            "mitochondrion": tubes,
            "lipid_droplet": self.organelles.droplet_distance(p),
        }

    def sharp(self, zyx: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Material and label at each point, with sharp interfaces.

        Parameters
        ----------
        zyx : numpy.ndarray, float32 or float64, shape (3, N)
            Positions in the frame of the cell, nm. Single precision moves an interface by less than 0.01 nm.

        Returns
        -------
        material : numpy.ndarray, uint8, shape (N,)
            Index into `contrast.MATERIALS`.
        labels : numpy.ndarray, uint8, shape (N,)
            Codes of `vocabulary.LABELS`; an envelope belongs to the body that it encloses.
        """
        smooth = self.body.distance_of_columns(zyx)
        outer = smooth - self.height_nm(zyx, smooth)
        inner = smooth + self.wall_nm
        cortex = inner + PRIORS["membrane_thickness"].mean
        material = np.full(smooth.shape, _CODE["outside"], dtype=np.uint8)
        material[outer < 0] = _CODE["fringe"]
        material[(outer < -_FRINGE_NM) & (outer < 0)] = _CODE["wall"]
        material[inner < 0] = _CODE["membrane"]
        deep = np.flatnonzero(cortex < 0)
        material[deep] = _CODE["cytoplasm"]
        labels = LABEL_OF_MATERIAL[material]
        if deep.size:
            material[deep], labels[deep] = self._sharp_bodies(zyx[:, deep], cortex[deep])
        return material, labels

    def _sharp_bodies(self, zyx: FloatArray, cortex: FloatArray) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        membrane, envelope = PRIORS["membrane_thickness"].mean, PRIORS["envelope_thickness"].mean
        material = np.full(cortex.shape, _CODE["cytoplasm"], dtype=np.uint8)
        labels = np.full(cortex.shape, LABELS["cytoplasm"], dtype=np.uint8)

        def paint(where: NDArray[np.bool_], name: str, label: str) -> None:
            material[where], labels[where] = _CODE[name], LABELS[label]

        nucleus = self.organelles.nucleus.distance(zyx)
        vacuole = self.organelles.vacuole_distance(zyx, nucleus, cortex)
        paint(vacuole < 0, "envelope", "vacuole")
        paint(vacuole < -membrane, "vacuole", "vacuole")
        paint(self.organelles.droplet_distance(zyx) < 0, "lipid_droplet", "lipid_droplet")
        for tube in self.organelles.tubes:
            distance, along = tube.distance(zyx, 1.0)
            if (distance < 0).any():
                paint(distance < 0, "envelope", "mitochondrion")
                matrix = distance < -membrane
                paint(matrix, "mitochondrion", "mitochondrion")
                paint(matrix & (_cristae(along) > 0.5), "cristae", "mitochondrion")
        inside = nucleus < 0
        if inside.any():
            chromatin = nucleus < -envelope
            paint(inside, "envelope", "nucleus")
            paint(chromatin, "nucleus", "nucleus")
            nucleolus = self.organelles.nucleus.nucleolus_distance(zyx, nucleus) < 0
            paint(chromatin & nucleolus, "nucleolus", "nucleus")
        return material, labels

    def labels(self, points_nm: FloatArray) -> NDArray[np.uint8]:
        """Label code at each point, (..., 3) to (...), with sharp interfaces."""
        points = np.asarray(points_nm, dtype=np.float64)
        return self.sharp(columns(points.reshape(-1, 3)))[1].reshape(points.shape[:-1])

    def sample(self, points_nm: FloatArray | Grid, modality: str = "tem") -> Sample:
        """Labels and noiseless density at points or on a grid (`raster.rasterize` does large grids by chunks).

        Parameters
        ----------
        points_nm : numpy.ndarray of shape (..., 3), or Grid
            Positions in the frame of the cell.
        modality : str
            Key of `contrast.CONTRASTS`.

        Returns
        -------
        Sample
            Arrays of shape (...) or of the grid.
        """
        points = grid_points(points_nm) if isinstance(points_nm, Grid) else np.asarray(points_nm, float)
        material, labels = self.sharp(columns(points.reshape(-1, 3)))
        shape = points.shape[:-1]
        return Sample(labels.reshape(shape), nominal(modality)[material].reshape(shape))

    def truth(self, voxel_nm: float = 90.0) -> Truth:
        """Volume, fractions and axes (`truth.measured`), the whole cell counted on voxels of the given side."""
        return measured(self, voxel_nm)


def _cristae(along_nm: FloatArray) -> FloatArray:
    """Share of cristae at a position along a mitochondrion, 0 to 1."""
    return np.clip(2.2 * np.cos(along_nm * (2 * np.pi / _CRISTA_PERIOD_NM)) - 0.9, 0.0, 1.0)


def grid_points(grid: Grid) -> FloatArray:
    """Centres of all voxels, float64, shape (z, y, x, 3), nm."""
    axes = [grid.axis_nm(axis) for axis in range(3)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def body_of(seed: int) -> Body:
    """Outer surface of `draw_cell(seed)`, without the work of filling it."""
    return draw_body(np.random.default_rng([seed, 0]))


def draw_cell(seed: int) -> Cell:
    """One cell of the population.

    Parameters
    ----------
    seed : int
        The same number gives the same cell.

    Returns
    -------
    Cell
        In its own frame.
    """
    body = body_of(seed)
    rng = np.random.default_rng([seed, 1])
    wall, bud = draw("wall_thickness", rng), body.bud
    scars: list[Scar] = []
    for _ in range(round(draw("scars", rng))):
        pole = 1.0 if rng.random() < 0.7 else -1.0
        direction = np.array([*(0.55 * rng.normal(size=2)), pole])
        direction /= np.linalg.norm(direction)
        scar = Scar(direction, draw("scar_radius", rng), draw("scar_height", rng))
        under_bud = bud is not None and float(direction @ bud.centre_nm) > 0.86 * np.linalg.norm(bud.centre_nm)
        if not under_bud and all(float(direction @ other.direction) < 0.90 for other in scars):
            scars.append(scar)
    organelles = draw_organelles(body, wall + PRIORS["membrane_thickness"].mean, rng)
    # Streams of their own: what is drawn above stays what it was without them.
    reticulum = draw_reticulum(body, np.random.default_rng([seed, 2]))
    furrows = draw_furrows(np.random.default_rng([seed, 3]))
    return Cell(body, organelles, tuple(scars), wall, reticulum, furrows)
