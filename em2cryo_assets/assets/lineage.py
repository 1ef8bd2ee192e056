"""The lineage as a table: every stage, its partitions, its inputs and its code version.

Belongs here: what depends on what, said once; the Dagster assets (`assets.stage`) and the plan
(`automation.plan`) are both made from it, so that they cannot disagree.
Does not belong here: computing anything, or which keys exist.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

__all__ = ["GROUPS", "KEY_SETS", "STAGES", "KeySet", "Stage", "Upstream"]

KeySet = Literal["fields", "cells", "sections", "tomograms", "pairs"]
KEY_SETS: Final[tuple[KeySet, ...]] = ("fields", "sections", "tomograms", "cells", "pairs")

Via = Literal["same", "cell", "tomogram", "single", "every", "raw", "labels"]

# Numbered, as the Dagster UI sorts groups by name and they should stand in the order of the work.
GROUPS: Final = MappingProxyType(
    {
        "models": "g0_models",
        "raw": "g1_raw",
        "masks": "g2_masks",
        "meshes": "g3_meshes",
        "volumes": "g4_volumes",
        "comparison": "g5_comparison",
    }
)


@dataclass(frozen=True)
class Upstream:
    """One input of a stage.

    Parameters
    ----------
    asset : str
        Upstream stage; for ``raw`` and ``labels`` the kind of file in the inbox.
    via : str
        ``same`` key; the ``cell`` or ``tomogram`` of a pair; the ``single`` artifact of an asset
        without partitions (left out if there is none); ``every`` live key that was ever made;
        the ``raw`` file of the key; human ``labels`` beside it (left out if there are none).
    """

    asset: str
    via: Via


@dataclass(frozen=True)
class Stage:
    """One asset of the lineage.

    Parameters
    ----------
    name : str
        Asset name, also the folder in the store.
    group : str
        Key of `GROUPS`.
    key_set : str or None
        Partition set; None for assets without partitions.
    code_version : str
        Raised by hand whenever the same inputs would give other bytes.
    upstream : tuple of Upstream
        What it is made from.
    settings : tuple of str
        Names of the study settings it depends on.
    kinds : tuple of str
        Badges in the Dagster UI.
    description : str
        For a microscopist, not for a programmer.
    on_request : bool
        Made when a person asks for it; the plan does not.
    """

    name: str
    group: str
    key_set: KeySet | None
    code_version: str
    upstream: tuple[Upstream, ...]
    description: str
    settings: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    on_request: bool = False

    @property
    def tags(self) -> dict[str, str]:
        """Tags in the Dagster UI: the microscopy that its keys come from, to filter the catalogue by."""
        return {"em2cryo/microscopy": _MICROSCOPY[self.key_set]} if self.key_set else {"em2cryo/microscopy": "all"}


_MICROSCOPY: Final[MappingProxyType[KeySet, str]] = MappingProxyType(
    {"fields": "sem", "cells": "sem", "sections": "tem", "tomograms": "cryo-et", "pairs": "sem-tem-and-cryo-et"}
)

_IN_ORDER = (
    Stage(
        "phantom_cells",
        "models",
        None,
        "3",
        (),
        "SIMULATED cells whose truth is known, each by all three microscopes: what estimators are tried on.",
        settings=("seed", "simulated_cells"),
        kinds=("volume", "table", "zarr"),
    ),
    Stage(
        "simulated_study",
        "models",
        None,
        "1",
        (),
        "All raw files of a SIMULATED study with their truth, to be copied and made in a folder of its own. On request: "
        "give numbers of cells and a seed in the launchpad.",
        kinds=("image", "volume"),
        on_request=True,
    ),
    Stage(
        "sem_mask_model",
        "models",
        None,
        "1",
        (Upstream("phantom_cells", "single"),),
        "The network that outlines cells in SEM fields, trained on simulated piles only: released weights, or weights "
        "trained here when asked for in the launchpad.",
        kinds=("torch",),
    ),
    Stage(
        "section_model",
        "models",
        None,
        "1",
        (Upstream("phantom_cells", "single"),),
        "The network that labels TEM sections, trained on simulated sections only: released weights, or weights trained "
        "here when asked for in the launchpad.",
        kinds=("torch",),
    ),
    Stage(
        "tomogram_model",
        "models",
        None,
        "1",
        (Upstream("phantom_cells", "single"),),
        "The network that labels slabs in tomograms, trained on simulated tomograms only: released weights, or weights "
        "trained here when asked for in the launchpad.",
        kinds=("torch",),
    ),
    Stage(
        "sem_field",
        "raw",
        "fields",
        "3",
        (Upstream("sem", "raw"),),
        "One SEM image of a field of cells, with its pixel size in nm; data bar and burnt-in scale bar masked.",
        kinds=("image", "zarr"),
    ),
    Stage(
        "tem_section",
        "raw",
        "sections",
        "3",
        (Upstream("tem", "raw"),),
        "One TEM thin section as density (high where matter is dense), with its pixel size in nm.",
        kinds=("image", "zarr"),
    ),
    Stage(
        "tomogram",
        "raw",
        "tomograms",
        "4",
        (Upstream("tomogram", "raw"),),
        "One cryo-ET reconstruction or whole-cell volume as density, with voxel size, tilts and what was assumed. A tilt "
        "series is aligned and reconstructed.",
        settings=("reconstruction",),
        kinds=("volume", "zarr"),
    ),
    Stage(
        "cell_masks",
        "masks",
        "fields",
        "5",
        (Upstream("sem_field", "same"), Upstream("sem", "labels"), Upstream("sem_mask_model", "single")),
        "The visible outline of every cell of a field. Labels drawn by a person beside the image take their place.",
        settings=("segmenter",),
        kinds=("labels", "torch"),
    ),
    Stage(
        "section_labels",
        "masks",
        "sections",
        "4",
        (Upstream("tem_section", "same"), Upstream("tem", "labels"), Upstream("section_model", "single")),
        "Wall, cytoplasm, nucleus, vacuole, mitochondria and lipid droplets in one section. Human labels come first.",
        settings=("section_labeller",),
        kinds=("labels", "torch"),
    ),
    Stage(
        "tomogram_labels",
        "masks",
        "tomograms",
        "5",
        (Upstream("tomogram", "same"), Upstream("tomogram", "labels"), Upstream("tomogram_model", "single")),
        "Outside, wall, membrane, cytoplasm, nucleus and vacuole in one tomogram. Labels drawn by a person come first.",
        settings=("tomogram_labeller",),
        kinds=("labels", "torch"),
    ),
    Stage(
        "cell_surface",
        "meshes",
        "cells",
        "2",
        (Upstream("cell_view", "same"),),
        "Half-thickness and normals of one cell, by rotational sweep of its outline about the long axis.",
        kinds=("image", "numpy"),
    ),
    Stage(
        "cell_mesh",
        "meshes",
        "cells",
        "1",
        (Upstream("cell_surface", "same"),),
        "The cell as a closed, outward-oriented mesh in nm. The far side is a prior: SEM cannot see it.",
        kinds=("mesh", "open3d"),
    ),
    Stage(
        "interior_atlas",
        "volumes",
        None,
        "4",
        (Upstream("section_labels", "every"),),
        "What all TEM sections together say about the inside of a cell: volume fractions, wall, depth profile.",
        settings=("seed",),
        kinds=("table",),
    ),
    Stage(
        "fused_volume",
        "volumes",
        "cells",
        "4",
        (Upstream("cell_mesh", "same"), Upstream("interior_atlas", "single")),
        "The pseudo-3D cell: the SEM shape filled from the TEM atlas, with the source and uncertainty of each voxel.",
        settings=("seed", "fused_voxel_nm", "fused_megavoxels", "fused_memory_gb", "realisations"),
        kinds=("volume", "zarr", "dask"),
    ),
    Stage(
        "cell_features",
        "volumes",
        "cells",
        "6",
        (
            Upstream("cell_view", "same"),
            Upstream("cell_mesh", "same"),
            Upstream("fused_volume", "same"),
            Upstream("interior_atlas", "single"),
        ),
        "Shape, symmetry and interior of one pseudo-3D cell in numbers.",
        kinds=("table",),
    ),
    Stage(
        "tomogram_features",
        "comparison",
        "tomograms",
        "4",
        (Upstream("tomogram", "same"), Upstream("tomogram_labels", "same")),
        "What one tomogram or whole-cell volume shows of the same characteristics, and what it cannot show.",
        kinds=("table",),
    ),
    Stage(
        "comparison",
        "comparison",
        "pairs",
        "3",
        (
            Upstream("fused_volume", "cell"),
            Upstream("cell_features", "cell"),
            Upstream("tomogram", "tomogram"),
            Upstream("tomogram_labels", "tomogram"),
            Upstream("tomogram_features", "tomogram"),
        ),
        "One pseudo-3D cell degraded to what one tomogram could have recorded of it, with negative controls. "
        "A few pairs a tomogram are drawn; the others stay missing, and are not needed.",
        settings=("seed",),
        kinds=("table", "torch"),
    ),
    Stage(
        "virtual_tem",
        "comparison",
        None,
        "2",
        (
            Upstream("tem_section", "every"),
            Upstream("section_labels", "every"),
            Upstream("tomogram", "every"),
            Upstream("tomogram_labels", "every"),
            Upstream("tomogram_features", "every"),
        ),
        "Tomograms projected through a section's thickness and compared directly with TEM sections: width and level of the "
        "wall, order of the layers; walls also as random planes would have cut them. Exploratory: none of it is judged.",
        kinds=("table",),
    ),
    Stage(
        "comparison_table",
        "comparison",
        None,
        "7",
        (
            Upstream("cell_features", "every"),
            Upstream("tomogram_features", "every"),
            Upstream("interior_atlas", "single"),
            Upstream("comparison", "every"),
        ),
        "All characteristics side by side: pseudo-3D cells, TEM sections and cryo-ET, by independent cells.",
        kinds=("table",),
    ),
    Stage(
        "verdicts",
        "comparison",
        None,
        "4",
        (Upstream("comparison_table", "single"),),
        "Captured, approximated, missed, inconclusive or not assessable, with the reason, for each characteristic.",
        settings=("seed",),
        kinds=("table",),
    ),
    Stage(
        "verdict_calibration",
        "comparison",
        None,
        "2",
        (Upstream("comparison_table", "single"),),
        "How often verdicts are right: the same rules tried on SIMULATED studies of this study's size, whose answers are "
        "known.",
        settings=("seed", "pairs_per_tomogram", "calibration_studies"),
        kinds=("table",),
    ),
    Stage(
        "limitations",
        "comparison",
        None,
        "3",
        (
            Upstream("verdicts", "single"),
            Upstream("interior_atlas", "single"),
            Upstream("cell_view", "every"),
            Upstream("cell_mesh", "every"),
            Upstream("cell_features", "every"),
            Upstream("tomogram", "every"),
            Upstream("tomogram_features", "every"),
        ),
        "What bounds each answer, in this study's own numbers, and the acquisition that would move it.",
        settings=("fused_voxel_nm",),
        kinds=("table",),
    ),
    Stage(
        "report",
        "comparison",
        None,
        "10",
        (
            Upstream("verdicts", "single"),
            Upstream("verdict_calibration", "single"),
            Upstream("limitations", "single"),
            Upstream("virtual_tem", "single"),
            Upstream("comparison_table", "single"),
            Upstream("interior_atlas", "single"),
            Upstream("cell_features", "every"),
            Upstream("cell_view", "every"),
            Upstream("cell_mesh", "every"),
            Upstream("fused_volume", "every"),
            Upstream("sem_field", "every"),
            Upstream("tem_section", "every"),
            Upstream("section_labels", "every"),
            Upstream("tomogram", "every"),
            Upstream("tomogram_labels", "every"),
            Upstream("tomogram_features", "every"),
            Upstream("comparison", "every"),
        ),
        "The study as one offline page: verdicts, cells that turn, slabs side by side, methods and limits.",
        kinds=("html",),
    ),
)

STAGES: Final = MappingProxyType({stage.name: stage for stage in _IN_ORDER})
"""Every computed asset by name, upstream before downstream. `cell_view` is not among them: it is
logged, one record a cell, by the run of `cell_masks` that found the cell."""
