"""Meshes as Zarr arrays, and their export for other programs.

Belongs here: writing and reading `geometry.mesh.Mesh`. Does not belong here: making or measuring meshes.
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from em2cryo_assets.geometry.mesh import Mesh

__all__ = ["export_glb", "export_ply", "read_mesh", "read_mesh_attributes", "write_mesh"]

_NM_PER_UM = 1000.0


def write_mesh(path: Path, mesh: Mesh, *, attributes: Mapping[str, NDArray[np.generic]] | None = None) -> None:
    """Write a mesh as a Zarr group with ``vertices_nm`` (V, 3) in z, y, x and ``faces`` (F, 3).

    Parameters
    ----------
    path : pathlib.Path
        Folder to write; must not hold a Zarr group yet.
    mesh : Mesh
        Mesh to write.
    attributes : mapping of str to numpy.ndarray, shape (V,), optional
        One value a vertex, by name; the unit belongs into the name.

    Raises
    ------
    ValueError
        If shapes do not fit together, a vertex is not finite, or a face names a vertex that is not there.
    """
    vertices, faces = _checked(mesh)
    named = dict(attributes or {})
    for name, values in named.items():
        if len(values) != len(vertices) or values.ndim != 1:
            raise ValueError(f"Attribute {name!r} has shape {values.shape}; ({len(vertices)},) is needed.")
    if (Path(path) / "zarr.json").exists():
        raise ValueError(f"{Path(path).name} already holds a Zarr group.")
    Path(path).mkdir(parents=True, exist_ok=True)
    group = zarr.create_group(str(path), zarr_format=3)
    group.attrs.update({"unit": "nanometer", "columns": ["z", "y", "x"], "kind": "triangle mesh"})
    _put(group, "vertices_nm", vertices)
    _put(group, "faces", faces)
    if named:
        parent = group.create_group("attributes")
        for name, values in sorted(named.items()):
            _put(parent, name, values)


def read_mesh(path: Path) -> Mesh:
    """Read a mesh written by `write_mesh`."""
    group = zarr.open_group(str(path), mode="r", zarr_format=3)
    return Mesh(_get(group, "vertices_nm"), _get(group, "faces"))


def read_mesh_attributes(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read the values by vertex written with a mesh; empty if there are none."""
    group = zarr.open_group(str(path), mode="r", zarr_format=3)
    if "attributes" not in group:
        return {}
    parent = group["attributes"]
    assert isinstance(parent, zarr.Group)
    return {name: _get(parent, name) for name in sorted(parent.array_keys())}


def export_ply(path: Path, mesh: Mesh) -> None:
    """Write a binary PLY in nanometres, columns x, y, z (the usual order outside this project)."""
    vertices, faces = _checked(mesh)
    header = (
        "ply\nformat binary_little_endian 1.0\ncomment unit nanometer\n"
        f"element vertex {len(vertices)}\nproperty double x\nproperty double y\nproperty double z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    rows = np.empty(len(faces), dtype=[("n", "u1"), ("corners", "<i4", 3)])
    rows["n"] = 3
    rows["corners"] = faces
    with Path(path).open("wb") as handle:
        handle.write(header.encode("ascii"))
        handle.write(vertices[:, ::-1].astype("<f8").tobytes())
        handle.write(rows.tobytes())


def export_glb(path: Path, mesh: Mesh, *, name: str = "cell") -> None:
    """Write a binary glTF 2.0 file (Khronos, 2017) at micrometre scale, columns x, y, z.

    The format's unit is the metre, in which a cell is too small for most viewers: one unit is one micrometre
    here, and the node's name and its ``extras`` say so.

    Parameters
    ----------
    path : pathlib.Path
        File to write.
    mesh : Mesh
        Mesh to write.
    name : str
        Name of the node.
    """
    vertices, faces = _checked(mesh)
    points = (vertices[:, ::-1] / _NM_PER_UM).astype("<f4")
    positions, indices = points.tobytes(), faces.astype("<u4").tobytes()
    node = {"mesh": 0, "name": f"{name} (1 unit = 1 µm)", "extras": {"unit": "micrometer"}}
    primitive = {"attributes": {"POSITION": 0}, "indices": 1, "mode": 4}
    document = {
        "asset": {"version": "2.0", "generator": "EM2Cryo"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [node],
        "meshes": [{"primitives": [primitive]}],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,  # float
                "count": len(points),
                "type": "VEC3",
                "min": points.min(axis=0).tolist(),
                "max": points.max(axis=0).tolist(),
            },
            {"bufferView": 1, "componentType": 5125, "count": faces.size, "type": "SCALAR"},  # unsigned int
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": len(positions), "target": 34962},
            {"buffer": 0, "byteOffset": len(positions), "byteLength": len(indices), "target": 34963},
        ],
        "buffers": [{"byteLength": len(positions) + len(indices)}],
    }
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 4)
    binary = positions + indices  # both are multiples of four bytes long, as chunks must be
    with Path(path).open("wb") as handle:
        handle.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(binary)))
        handle.write(struct.pack("<I4s", len(text), b"JSON") + text)
        handle.write(struct.pack("<I4s", len(binary), b"BIN\0") + binary)


def _checked(mesh: Mesh) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    vertices = np.asarray(mesh.vertices_nm, dtype=np.float64)
    faces = np.asarray(mesh.faces, dtype=np.int32)
    if vertices.ndim != 2 or faces.ndim != 2 or vertices.shape[1:] != (3,) or faces.shape[1:] != (3,):
        raise ValueError(f"A mesh needs (V, 3) vertices and (F, 3) faces, not {vertices.shape}, {faces.shape}.")
    if not len(vertices) or not len(faces):
        raise ValueError("The mesh is empty.")
    if not np.isfinite(vertices).all():
        raise ValueError("A vertex of the mesh is not finite.")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise ValueError("A face of the mesh names a vertex that is not there.")
    return vertices, faces


def _put(group: zarr.Group, name: str, values: NDArray[np.generic]) -> None:
    codec = BloscCodec(cname="zstd", clevel=1, shuffle="shuffle")
    group.create_array(name, data=np.ascontiguousarray(values), chunks=values.shape, compressors=codec)


def _get(group: zarr.Group, name: str) -> NDArray:
    array = group[name]
    assert isinstance(array, zarr.Array)
    return np.asarray(array[...])
