"""Triangle meshes: the type, and what can be measured on a closed one.

Belongs here: the mesh type, its measures, and repairs that keep the shape (open3d).
Does not belong here: making a mesh from an image (`sem.solid`), sampling distances
(`geometry.distance`), reading or writing (`store.meshes`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Mesh",
    "area_um2",
    "centroid_nm",
    "decimated",
    "from_open3d",
    "is_outward",
    "is_watertight",
    "principal_axes_nm",
    "principal_frame",
    "repaired",
    "solidity",
    "sphericity",
    "to_open3d",
    "volume_um3",
]

_NM_PER_UM = 1000.0


@dataclass(frozen=True)
class Mesh:
    """Triangles in nanometres.

    Parameters
    ----------
    vertices_nm : numpy.ndarray, float64, shape (V, 3)
        Vertex positions in (z, y, x) order, nm.
    faces : numpy.ndarray, int32, shape (F, 3)
        Vertex indices. Outward orientation means that with positions read as (x, y, z) the
        right-hand rule gives a normal pointing out of the body, so its signed volume is positive.
    """

    vertices_nm: NDArray[np.float64]
    faces: NDArray[np.int32]


def volume_um3(mesh: Mesh) -> float:
    """Signed volume of a closed mesh, µm³: the sum of its signed tetrahedra (divergence theorem).

    Returns
    -------
    float
        Positive where the faces look outward, negative where they look inward. Of a mesh that is
        not closed the number means nothing: ask `is_watertight` first.
    """
    return float(_tetrahedra(mesh)[1].sum()) / _NM_PER_UM**3


def area_um2(mesh: Mesh) -> float:
    """Surface area, µm²."""
    a, b, c = _corners(mesh)
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()) / 2 / _NM_PER_UM**2


def sphericity(mesh: Mesh) -> float:
    """Sphericity ψ = π^⅓ (6V)^⅔ / A (Wadell 1935), dimensionless; 1 for a sphere, less for anything else."""
    volume = abs(volume_um3(mesh))
    return float(np.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / area_um2(mesh))


def solidity(mesh: Mesh) -> float:
    """Volume over that of the convex hull: 1 for an ellipsoid of any axes, less where there is a neck."""
    from scipy.spatial import ConvexHull

    return abs(volume_um3(mesh)) * _NM_PER_UM**3 / float(ConvexHull(mesh.vertices_nm).volume)


def is_watertight(mesh: Mesh) -> bool:
    """Whether every directed edge occurs once and its reverse once.

    That is: closed, no edge shared by more than two faces, and all faces consistently oriented.
    """
    faces = mesh.faces.astype(np.int64)
    if len(faces) < 4 or not np.isfinite(mesh.vertices_nm).all():
        return False
    if faces.min() < 0 or faces.max() >= len(mesh.vertices_nm):
        return False
    start = faces.ravel()
    end = np.roll(faces, -1, axis=1).ravel()
    if (start == end).any():
        return False
    n = len(mesh.vertices_nm)
    forward = np.sort(start * n + end)
    backward = np.sort(end * n + start)
    return bool((np.diff(forward) > 0).all() and np.array_equal(forward, backward))


def is_outward(mesh: Mesh) -> bool:
    """Whether the faces of a closed mesh look outward (its signed volume is positive)."""
    return volume_um3(mesh) > 0


def centroid_nm(mesh: Mesh) -> NDArray[np.float64]:
    """Centre of mass of the enclosed solid, (z, y, x) in nm, shape (3,).

    Raises
    ------
    ValueError
        If the mesh encloses no volume.
    """
    return _solid_moments(mesh)[0]


def principal_axes_nm(mesh: Mesh) -> NDArray[np.float64]:
    """Semi-axes of the ellipsoid of equal inertia, nm, descending, shape (3,).

    The covariance of a homogeneous solid ellipsoid has eigenvalues a²/5, hence a = √(5λ).

    Raises
    ------
    ValueError
        If the mesh encloses no volume.
    """
    return np.sqrt(5 * np.linalg.eigvalsh(_solid_moments(mesh)[1])[::-1].clip(0))


def principal_frame(mesh: Mesh) -> NDArray[np.float64]:
    """Principal axes as rows of unit (z, y, x) vectors, longest first, shape (3, 3).

    Signs are fixed by making the largest component of each of the first two rows positive; the third
    completes a rotation (determinant +1), so that the same mesh always gives the same frame.

    Raises
    ------
    ValueError
        If the mesh encloses no volume.
    """
    _, vectors = np.linalg.eigh(_solid_moments(mesh)[1])
    rows = vectors.T[::-1].copy()
    for row in rows[:2]:
        row *= np.sign(row[np.argmax(np.abs(row))])
    rows[2] = np.cross(rows[0], rows[1])
    return rows


def to_open3d(mesh: Mesh) -> Any:
    """Legacy ``open3d.geometry.TriangleMesh`` in (x, y, z) order, nm; face indices unchanged."""
    import open3d as o3d

    return o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(np.ascontiguousarray(mesh.vertices_nm[:, ::-1], dtype=np.float64)),
        o3d.utility.Vector3iVector(np.ascontiguousarray(mesh.faces, dtype=np.int32)),
    )


def from_open3d(mesh: Any) -> Mesh:
    """Inverse of `to_open3d`."""
    return Mesh(
        np.ascontiguousarray(np.asarray(mesh.vertices, dtype=np.float64)[:, ::-1]),
        np.ascontiguousarray(np.asarray(mesh.triangles, dtype=np.int32)),
    )


def repaired(mesh: Mesh) -> Mesh:
    """Merge duplicate vertices, drop degenerate faces, keep the largest body, close holes, look outward.

    Raises
    ------
    ValueError
        If the result still is not watertight.
    """
    work = to_open3d(mesh)
    work.remove_duplicated_vertices()
    work.remove_duplicated_triangles()
    work.remove_degenerate_triangles()
    cluster, _, areas = work.cluster_connected_triangles()
    if len(areas) > 1:
        work.remove_triangles_by_mask(np.asarray(cluster) != int(np.argmax(np.asarray(areas))))
    work.remove_unreferenced_vertices()
    work.orient_triangles()
    closed = from_open3d(work)
    if not is_watertight(closed):
        closed = _closed(closed)
    if not is_watertight(closed):
        raise ValueError(f"A mesh of {len(mesh.faces)} faces could not be closed; inspect its source.")
    if not is_outward(closed):
        closed = Mesh(closed.vertices_nm, np.ascontiguousarray(closed.faces[:, ::-1]))
    return closed


def decimated(mesh: Mesh, n_faces: int) -> Mesh:
    """Quadric-error decimation (Garland and Heckbert 1997) to about ``n_faces`` faces.

    The mesh is returned unchanged where it has no more faces than that, or where decimation would
    open it: a closed mesh matters more than a light one.
    """
    if len(mesh.faces) <= n_faces:
        return mesh
    light = from_open3d(to_open3d(mesh).simplify_quadric_decimation(n_faces))
    return light if is_watertight(light) and is_outward(light) == is_outward(mesh) else mesh


def _closed(mesh: Mesh) -> Mesh:
    """Fill every hole with a fan about the mean of its rim.

    Not ``open3d.t.geometry.TriangleMesh.fill_holes``: in 0.20 the vertices it returns lie in freed memory.
    """
    start, end = mesh.faces.ravel(), np.roll(mesh.faces, -1, axis=1).ravel()
    edges = set(zip(start.tolist(), end.tolist(), strict=True))
    follows = {b: a for a, b in sorted(edges) if (b, a) not in edges}
    vertices, faces = [mesh.vertices_nm], [mesh.faces]
    n = len(mesh.vertices_nm)
    while follows:
        first, after = next(iter(follows.items()))
        rim = [first]
        while after != first and after in follows:
            rim.append(after)
            after = follows.pop(after)
        follows.pop(first)
        vertices.append(mesh.vertices_nm[rim].mean(axis=0, keepdims=True))
        faces.append(np.stack([rim, np.roll(rim, -1), np.full(len(rim), n)], axis=1).astype(np.int32))
        n += 1
    return Mesh(np.concatenate(vertices), np.concatenate(faces))


def _corners(mesh: Mesh) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    a, b, c = (mesh.vertices_nm[mesh.faces[:, i]] for i in range(3))
    return a, b, c


def _tetrahedra(mesh: Mesh) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners (F, 3, 3) about the mean vertex, and signed volumes (F,) in nm³.

    The reference point is the mean vertex, not the origin: far from the origin the tetrahedra would
    cancel to nothing in floating point. (z, y, x) is an odd permutation of (x, y, z): hence the minus.
    """
    corners = np.stack(_corners(mesh), axis=1) - mesh.vertices_nm.mean(axis=0)
    signed = -np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    return corners, signed


def _solid_moments(mesh: Mesh) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centroid (3,) nm and covariance (3, 3) nm² of the solid, summed over signed tetrahedra.

    For a tetrahedron with one corner at the reference point, others p1..p3 and s = Σp, the second moment
    is V/20 · (Σ p pᵀ + s sᵀ) (Blow and Binstock 2004).
    """
    corners, signed = _tetrahedra(mesh)
    volume = float(signed.sum())
    if abs(volume) < 1e-12 * np.abs(signed).sum() or volume == 0:
        raise ValueError("The mesh encloses no volume, so it has no centroid and no axes.")
    total = corners.sum(axis=1)
    mean = np.einsum("i,ij->j", signed, total) / (4 * volume)
    second = np.einsum("i,ikj,ikl->jl", signed, corners, corners) + np.einsum("i,ij,il->jl", signed, total, total)
    covariance = second / (20 * volume) - np.outer(mean, mean)
    return mean + mesh.vertices_nm.mean(axis=0), covariance
