"""From sections and meshes to pseudo-volumes and their features: the fourth column of the lineage.

Belongs here: `interior_atlas`, `fused_volume`, `cell_features`.
Does not belong here: stereology (`tem.atlas`), filling a mesh (`fusion.volume`) or descriptors (`compare`).
"""

import numpy as np
import pandas as pd

from em2cryo_assets import checks
from em2cryo_assets.assets.atlas_files import read_atlas, write_atlas
from em2cryo_assets.assets.exports import describe, export, meanings
from em2cryo_assets.assets.fused_files import write_fused
from em2cryo_assets.assets.pictures import pictures, table
from em2cryo_assets.assets.records import read_record, write_record
from em2cryo_assets.assets.stage import Work, stage_asset
from em2cryo_assets.compare.descriptors import cell_measurements
from em2cryo_assets.compare.tables import MEASUREMENTS
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.fusion.budget import check_budget
from em2cryo_assets.fusion.cutaway import cutaway
from em2cryo_assets.fusion.features import DRIED_LINEAR, expected_depth, expected_volumes
from em2cryo_assets.fusion.plan import plan_fusion
from em2cryo_assets.fusion.tables import EXPECTED_DEPTH, EXPECTED_VOLUMES
from em2cryo_assets.fusion.volume import fuse
from em2cryo_assets.geometry.mesh import volume_um3
from em2cryo_assets.report.raster import colour_codes, grey
from em2cryo_assets.store.images import read_image, read_labels, write_image
from em2cryo_assets.store.meshes import read_mesh
from em2cryo_assets.store.tables import read_table, write_table
from em2cryo_assets.tem.atlas import SectionMeta, build_atlas
from em2cryo_assets.tem.compression import known_compression
from em2cryo_assets.tem.tables import ATLAS_TABLES
from em2cryo_assets.vocabulary import LABEL_NAMES, LABELS

__all__ = ["cell_features", "fused_volume", "interior_atlas"]

_MEASURED = ("areas", "bodies", "wall", "depth")


@stage_asset("interior_atlas", checks.INTERIOR_ATLAS)
def interior_atlas(work: Work) -> None:
    """Pool all labelled sections into population statements; no single section enters another way."""
    sections, meta = {}, {}
    for key, artifact in work.all("section_labels").items():
        record = read_record(artifact)
        sections[key] = {name: read_table(artifact.path / f"{name}.parquet") for name in _MEASURED}
        meta[key] = SectionMeta(
            unit=record["unit"],
            block=record["block"],
            sampling=record["sampling"],
            thickness_nm=float(record["section_thickness_nm"]),
            compression=known_compression(record["compression"], record["resin"]),
            strain=record["strain"],
        )
    _one_strain(work, meta)
    atlas = build_atlas(sections, meta, work.study.settings.seed)
    shown = write_atlas(work.folder, atlas, work.all("section_labels"))
    work.fallbacks += atlas.warnings
    fractions = atlas.tables["fractions"]
    total = float(fractions["v_v"].sum())
    describe(work, ATLAS_TABLES["fractions"])
    work.metadata |= {
        **(pictures(shown, "typical section; its labels", simulated=work.simulated, labels=True) if shown else {}),
        "fractions": table(fractions, meaning=meanings(ATLAS_TABLES["fractions"])),
        "wall": table(atlas.tables["wall"], meaning=meanings(ATLAS_TABLES["wall"])),
        "sections": len(sections),
        "independent_cells": len({m.unit for m in meta.values()}),
        "left_out": ", ".join(k for k in work.snapshot.keys("sections") if k not in sections) or "none",
    }
    work.check("fractions_sum_to_one", abs(total - 1) < 1e-6, f"They add up to {total:.6f}.", total=total)


def _one_strain(work: Work, meta: dict[str, SectionMeta]) -> None:
    """Refuse sections of different strains: a mean over both is true of neither."""
    named: dict[str, list[str]] = {}
    for key, one in meta.items():
        if one.strain:
            named.setdefault(one.strain, []).append(key)
    if len(named) < 2:
        if named and (silent := sum(not one.strain for one in meta.values())):
            work.fallbacks.append(f"{silent} section(s) name no strain: taken as {next(iter(named))}, like the others.")
        return
    fewest = min(named, key=lambda strain: (len(named[strain]), strain))
    said = "; ".join(f"{strain}: {len(keys)}" for strain, keys in sorted(named.items()))
    raise InputError(
        work.study.inbox.require("tem", named[fewest][0]).path,
        f"the study's sections are of {len(named)} strains ({said}), which make no one atlas.",
        "give each strain a study of its own, or correct `strain` in the sidecars.",
    )


@stage_asset("fused_volume", checks.FUSED_VOLUME)
def fused_volume(work: Work) -> None:
    """Fill the mesh from the atlas, block by block, and warp one real section onto its mid-plane."""
    settings = work.study.settings
    mesh = read_mesh(work.one("cell_mesh").path / "mesh.zarr")
    source = work.maybe("interior_atlas")
    atlas = None if source is None else read_atlas(source)
    try:
        check_budget(
            mesh, settings.fused_voxel_nm,
            megavoxels=settings.fused_megavoxels, memory_limit_gb=settings.fused_memory_gb,
        )  # fmt: skip
    except ValueError as error:
        raise InputError("study.toml", str(error), "set one of the three there.") from error
    try:
        plan = plan_fusion(
            mesh,
            None if atlas is None else atlas.atlas,
            voxel_nm=settings.fused_voxel_nm,
            seed=settings.seed,
            realisations=settings.realisations,
        )
    except ValueError as error:
        raise InputError(
            work.slug, str(error), "correct the outline, pixel size or labels that it comes from."
        ) from error
    volume = fuse(plan)
    work.fallbacks += volume.fallbacks
    voxel = volume.grid.voxel_nm
    tally = write_fused(work.folder, volume, work.slug)
    labels = read_labels(work.folder / "fused.ome.zarr", "interior")
    density = read_image(work.folder / "fused.ome.zarr").data
    inside = int(tally.sum() - tally[LABELS["outside"]])
    filled_um3 = inside * float(np.prod(voxel)) / 1e9
    counts = tally / max(1, inside)
    record = {
        "voxel_nm": list(voxel),
        "origin_nm": list(volume.grid.origin_nm),
        "has_interior": atlas is not None,
        "inradius_nm": plan.inradius_nm,
    }
    middle = labels.shape[0] // 2
    panels = [grey(np.asarray(density[middle])), colour_codes(np.asarray(labels[middle]))]
    caption, larger = "middle slice: density, labels", 1
    if atlas is not None and atlas.example is not None:
        cut = cutaway(
            mesh,
            atlas.example.density,
            atlas.example.profile,
            pixel_size_nm=atlas.example.pixel_size_nm,
            grid_pixel_nm=settings.fused_voxel_nm / 2,
        )
        side = cut.pixel_nm
        write_image(
            work.folder / "cutaway.ome.zarr", np.nan_to_num(cut.density), voxel_nm=(side, side), name=cut.caption,
            labels={"mask": cut.mask.astype(np.uint8)}, chunk=512,
        )  # fmt: skip
        record["cutaway"] = {"caption": cut.caption, "pixel_nm": side, "origin_nm": list(cut.origin_nm)}
        larger = max(1, round(voxel[1] / side))  # one scale for all panels
        panels = [panel.repeat(larger, axis=0).repeat(larger, axis=1) for panel in panels]
        panels.append(grey(cut.density, cut.mask))
        caption += "; cutaway: profile of another cell"
    write_record(work.folder, record)
    # High z faced the microscope: it is shown above, and the far half below, where a prior stands for what was hidden.
    beside = [np.asarray(labels[:, labels.shape[1] // 2]), np.asarray(labels[:, :, labels.shape[2] // 2])]
    along = [colour_codes(cut[::-1]).repeat(larger, axis=0).repeat(larger, axis=1) for cut in beside]
    whole = f"{caption}; labels in two cuts along the beam, far half below"
    work.metadata |= {
        **pictures([*panels, *along], whole, simulated=work.simulated, labels=True),
        "picture": pictures(panels, caption, simulated=work.simulated)["picture"],
        "filled_um3": filled_um3,
        "shape_zyx": " × ".join(map(str, labels.shape)),
        **{f"fraction_{LABEL_NAMES[c]}": float(counts[c]) for c in LABEL_NAMES if c},
    }
    off = filled_um3 / volume_um3(mesh) - 1
    said = f"The voxels' volume is off the mesh's by {off:+.2%}."
    if abs(off) > 0.01:
        said += " More than 1 % stops. Remedy: set a smaller fused_voxel_nm in study.toml."
    work.check("volume_matches_mesh", abs(off) <= 0.01, said, relative_error=off)


@stage_asset("cell_features")
def cell_features(work: Work) -> None:
    """Measure the pseudo-3D cell; what its making imposed is marked, never measured."""
    view, mesh_artifact = read_record(work.one("cell_view")), work.one("cell_mesh")
    mesh = read_mesh(mesh_artifact.path / "mesh.zarr")
    fused = work.one("fused_volume")
    frame: pd.DataFrame = cell_measurements(
        mesh,
        np.asarray(read_labels(fused.path / "fused.ome.zarr", "interior")),
        key=work.slug,
        unit=work.slug,
        field=view["field"],
        why_not=view["why_not_comparable"],
        imposed=tuple(read_record(mesh_artifact)["imposed"]),
        seed=work.study.settings.seed,
    )
    write_table(work.folder / "features.parquet", frame, MEASUREMENTS)
    export(work, "features", frame, MEASUREMENTS)
    write_record(work.folder, {"live_cell_diameter_um": view["live_cell_diameter_um"]})
    _attach_atlas(work, volume_um3(mesh), float(read_record(fused)["inradius_nm"]))
    comparable = not view["why_not_comparable"]
    work.parameters["comparable"] = comparable
    work.metadata |= {
        "features": table(
            frame[["characteristic", "value", "unit_of_measure", "assessable", "reason"]],
            meaning=meanings(MEASUREMENTS),
        ),
        "volume_um3": volume_um3(mesh),
        "comparable": comparable,
    }


def _attach_atlas(work: Work, mesh_um3: float, inradius_nm: float) -> None:
    """Write what the population holds, for a cell of this shape: the atlas's numbers, not this cell's."""
    source = work.maybe("interior_atlas")
    if source is None:
        return
    atlas = read_atlas(source).atlas
    volumes = expected_volumes(atlas, mesh_um3, work.study.settings.seed)
    depth = expected_depth(atlas, inradius_nm)
    write_table(work.folder / "expected_volumes.parquet", volumes, EXPECTED_VOLUMES)
    write_table(work.folder / "expected_depth.parquet", depth, EXPECTED_DEPTH)
    mean, sd = DRIED_LINEAR
    work.fallbacks.append(f"Living sizes assume that drying left {mean:g} ± {sd:g} of every length.")
    work.metadata |= {
        "expected_volumes": table(volumes, meaning=meanings(EXPECTED_VOLUMES)),
        "expected_depth": table(depth, meaning=meanings(EXPECTED_DEPTH)),
        "expected_of": "the population of the TEM sections, in a cell of this shape; nothing was seen inside this cell",
    }
