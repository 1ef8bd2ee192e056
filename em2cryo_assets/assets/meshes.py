"""From the view of a cell to a closed mesh: the third column of the lineage.

Belongs here: `cell_surface` and `cell_mesh`. Does not belong here: how a surface is estimated
(`sem.surface`) or closed (`sem.solid`).
"""

import numpy as np

from em2cryo_assets import checks
from em2cryo_assets.assets.pictures import mesh_pictures, pictures
from em2cryo_assets.assets.records import read_record, write_record
from em2cryo_assets.assets.stage import Work, stage_asset
from em2cryo_assets.geometry.mesh import area_um2, is_outward, is_watertight, principal_axes_nm, volume_um3
from em2cryo_assets.sem.solid import surface_to_mesh
from em2cryo_assets.sem.surface import CellSurface, rotational_sweep
from em2cryo_assets.store.images import read_image, read_labels, write_image
from em2cryo_assets.store.meshes import export_glb, export_ply, write_mesh

__all__ = ["cell_mesh", "cell_surface"]


@stage_asset("cell_surface")
def cell_surface(work: Work) -> None:
    """Half-thickness and normals by rotational sweep of the outline."""
    view = work.one("cell_view")
    mask = np.asarray(read_labels(view.path / "view.ome.zarr", "mask")) > 0
    record = read_record(view)
    side = float(record["pixel_size_nm"])
    surface = rotational_sweep(mask, side)
    write_image(
        work.folder / "half_thickness_nm.ome.zarr", surface.half_thickness_nm, voxel_nm=(side, side), name=work.slug,
        chunk=512,
    )  # fmt: skip
    for axis, normal in zip("zyx", surface.normals, strict=True):
        write_image(
            work.folder / f"normal_{axis}.ome.zarr", normal, voxel_nm=(side, side), name=f"normal {axis}", chunk=512
        )
    write_record(work.folder, {"pixel_size_nm": side, "method": surface.method, "imposed": list(surface.imposed)})
    work.metadata |= {
        **pictures([surface.half_thickness_nm], "half-thickness: bright is thick", simulated=work.simulated),
        "largest_half_thickness_nm": float(surface.half_thickness_nm.max()),
        "imposed_by_the_method": ", ".join(surface.imposed),
    }


@stage_asset("cell_mesh", checks.CELL_MESH)
def cell_mesh(work: Work) -> None:
    """Close the surface; the lower half is its mirror image, a prior and no measurement."""
    source = work.one("cell_surface")
    record = read_record(source)
    side = float(record["pixel_size_nm"])
    half = np.asarray(read_image(source.path / "half_thickness_nm.ome.zarr").data)
    normals = np.stack([np.asarray(read_image(source.path / f"normal_{a}.ome.zarr").data) for a in "zyx"])
    surface = CellSurface(half, normals, record["method"], tuple(record["imposed"]))
    mesh = surface_to_mesh(surface, side)
    # SEM sees only what faces the viewer; everything below the mid-plane is the prior's mirror image.
    write_mesh(
        work.folder / "mesh.zarr", mesh, attributes={"prior_side": (mesh.vertices_nm[:, 0] < 0).astype(np.uint8)}
    )
    export_ply(work.folder / "mesh.ply", mesh)
    export_glb(work.folder / "mesh.glb", mesh, name=work.slug)
    write_record(work.folder, {"method": record["method"], "imposed": record["imposed"]})
    axes = principal_axes_nm(mesh)
    work.metadata |= {
        **mesh_pictures(mesh, simulated=work.simulated),
        "volume_um3": volume_um3(mesh),
        "area_um2": area_um2(mesh),
        "semi_axes_nm": " × ".join(f"{a:.0f}" for a in axes),
        "triangles": len(mesh.faces),
    }
    work.check("watertight", is_watertight(mesh), "Every edge has two triangles.", triangles=len(mesh.faces))
    work.check("oriented", is_outward(mesh), f"Signed volume {volume_um3(mesh):.4g} µm³.")
