"""A study of made-up arrays, to see what the report makes of one. Nothing of it is data."""

import dataclasses

import numpy as np
import pandas as pd

from em2cryo_assets.geometry.mesh import Mesh
from em2cryo_assets.report.data import LeftOut, ProvenanceRow, ReportData, TextBlock
from em2cryo_assets.report.entries import (
    ArcCircle,
    CellEntry,
    Cutaway,
    FusedSlice,
    PairEntry,
    RawEntry,
    SectionEntry,
    TomogramEntry,
)
from em2cryo_assets.vocabulary import LABELS

GREY = {"outside": 0.1, "wall": 0.25, "membrane": 0.85, "cytoplasm": 0.55, "nucleus": 0.43, "vacuole": 0.2}
GREY |= {"mitochondrion": 0.72, "lipid_droplet": 0.08}


def body(seed: int, rings: int = 48, sides: int = 96) -> Mesh:
    """A closed, outward lumpy ellipsoid about 4 µm long."""
    rng = np.random.default_rng(seed)
    a, b, c = 2300 + rng.normal(0, 120), 1900 + rng.normal(0, 90), 1850.0
    theta = np.linspace(0, np.pi, rings + 2)[1:-1]
    phi = np.arange(sides) * 2 * np.pi / sides
    t, p = np.meshgrid(theta, phi, indexing="ij")
    lump = 1 + 0.035 * np.sin(3 * t) * np.cos(2 * p + seed) + 0.22 * np.exp(-((t - 1.1) ** 2 + (p - 0.6) ** 2) * 6)
    x, y, z = (lump * q for q in (a * np.sin(t) * np.cos(p), b * np.sin(t) * np.sin(p), c * np.cos(t)))
    ring = np.stack([z, y, x], -1).reshape(-1, 3)
    vertices = np.vstack([ring, [[c, 0, 0]], [[-c, 0, 0]]])
    faces = []
    for r in range(rings - 1):
        for s in range(sides):
            p0, p1 = r * sides + s, r * sides + (s + 1) % sides
            faces += [(p0, p0 + sides, p1), (p1, p0 + sides, p1 + sides)]
    top, bottom = rings * sides, rings * sides + 1
    for s in range(sides):
        faces.append((top, s, (s + 1) % sides))
        faces.append((bottom, (rings - 1) * sides + (s + 1) % sides, (rings - 1) * sides + s))
    return Mesh(vertices.astype(np.float64), np.asarray(faces, np.int32))


def labels_plane(shape: tuple[int, int], half_axes: tuple[float, float], seed: int) -> np.ndarray:
    """Concentric labels with a few round bodies."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape) - (np.array(shape)[:, None, None] - 1) / 2
    s = np.hypot(y / half_axes[0], x / half_axes[1])
    out = np.zeros(shape, np.uint8)
    out[s < 1] = LABELS["wall"]
    out[s < 0.93] = LABELS["membrane"]
    out[s < 0.91] = LABELS["cytoplasm"]
    bodies = [
        ("vacuole", 0.34),
        ("nucleus", 0.3),
        *[("mitochondrion", 0.11)] * 7,
        *[("lipid_droplet", 0.07)] * 4,
    ]
    for name, size in bodies:
        for _ in range(40):
            cy, cx = rng.uniform(-0.75, 0.75, 2)
            here = np.hypot(y / half_axes[0] - cy, x / half_axes[1] - cx) < size
            if here.any() and np.isin(out[here], LABELS["cytoplasm"]).all():
                out[here] = LABELS[name]
                break
    return out


def density(labels: np.ndarray, seed: int, noise: float = 0.06) -> np.ndarray:
    """Grey values of labels with noise."""
    table = np.array([GREY[name] for name in LABELS])
    return (table[labels] + np.random.default_rng(seed).normal(0, noise, labels.shape)).astype(np.float32)


def measured(side: str, key: str) -> pd.DataFrame:
    """A few rows of the measurement table."""
    rows = [
        ("log_volume", 3.5, 0.1, "ln µm³", side == "sem", "no live-cell diameter was recorded"),
        ("axis_ratio", 1.23, 0.02, "", True, ""),
        ("axial_asymmetry", np.nan, np.nan, "", False, "imposed by the estimator: axial symmetry"),
        ("wall_thickness", 142.3, 6.0, "nm", True, ""),
    ]
    columns = ["characteristic", "value", "sd", "unit_of_measure", "assessable", "reason"]
    return pd.DataFrame(rows, columns=columns).assign(side=side, key=key)


def cell(index: int, key: str) -> CellEntry:
    """One cell with everything."""
    y, x = np.indices((240, 280))
    s = np.hypot((y - 120) / 88, (x - 140) / 106)
    rng = np.random.default_rng(index)
    crop = np.where(s < 1, 95 + 120 * np.clip(s, 0, 1) ** 6, 60) + rng.normal(0, 9, s.shape)
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    outline = np.stack([120 + 88 * np.sin(angle), 140 + 106 * np.cos(angle)], -1)
    slices = []
    for axis, shape, axes in (
        ("z", (104, 124), (48, 57)),
        ("y", (102, 124), (46, 57)),
        ("x", (102, 104), (46, 48)),
    ):
        planes = labels_plane(shape, axes, index)
        source = np.where(planes == 0, 0, np.where(planes < 3, 1, np.where(planes > 3, 4, 2))).astype(np.uint8)
        entropy = np.where(planes > 0, rng.uniform(0, 1.5, shape), 0).astype(np.float32)
        origin = tuple(-(n - 1) / 2 * 40.0 for n in shape)
        slices.append(FusedSlice(axis, density(planes, index), planes, source, entropy, 40.0, origin))  # type: ignore[arg-type]
    way = labels_plane((210, 250), (96, 115), index + 50)
    caption = "TEM profile of another cell (section block2-07) warped onto the mid-plane of this mesh."
    return CellEntry(
        key=key,
        crop=np.clip(crop, 0, 255).astype(np.uint8),
        crop_pixel_nm=21.4,
        outlines_px=(outline,),
        mesh=body(index),
        measurements=measured("sem", key),
        why_not="cut by the border of its field or by the data bar" if index == 1 else "",
        imposed=("axial symmetry", "mirror in the image plane"),
        cutaway=Cutaway(density(way, index, 0.09), way > 0, 20.0, (0.0, -105 * 20.0, -125 * 20.0), caption),
        slices=tuple(slices),
        notes=("Shrinkage on drying is a prior, not measured.",),
        field="field-a",
    )


def verdict_table() -> pd.DataFrame:
    """One row of every kind, with intervals inside, across and beyond their margins, and none."""
    nan = np.nan
    rows = [
        ("wall_thickness", "interior", "nm", 148, 143, 5.0, -3.0, 13.0, 21.5, "captured"),
        ("depth_profile", "interior", "", nan, nan, 0.06, 0.01, 0.11, 0.15, "captured"),
        ("fraction_vacuole", "interior", "", 0.13, 0.12, 0.009, -0.004, 0.022, 0.024, "captured"),
        ("fraction_nucleus", "interior", "", 0.085, 0.072, 0.013, 0.002, 0.024, 0.0144, "approximated"),
        ("sphericity", "shape", "", 0.963, 0.951, 0.012, -0.01, 0.034, 0.02, "approximated"),
        ("power_spectrum", "interior", "", nan, nan, 0.9, 0.55, 1.31, 0.2, "missed"),
        ("axis_ratio", "shape", "", 1.21, 1.19, 0.02, -0.09, 0.13, 0.05, "inconclusive"),
        ("log_wall_radius", "shape", "ln nm", 7.41, 7.52, -0.11, nan, nan, 0.095, "inconclusive"),
        ("contrast_order", "interior", "", 0.62, 1.0, -0.38, nan, nan, nan, "not assessable"),
        ("axial_asymmetry", "shape", "", nan, nan, nan, nan, nan, 0.01, "not assessable"),
        ("log_volume", "shape", "ln µm³", 3.31, 3.74, -0.43, nan, nan, 0.223, "not assessable"),
        ("autocorrelation_length", "interior", "nm", 34, 31, 3.0, -1.0, 7.0, 5.0, "inconclusive"),
    ]
    names = ["characteristic", "family", "unit", "estimate_model", "estimate_reference", "difference"]
    table = pd.DataFrame(rows, columns=[*names, "low", "high", "margin", "verdict"])
    words = {
        "captured": (
            "The difference is smaller than the tolerance fixed beforehand, and a fake (homogeneous "
            "interior) failed this test.",
            "차이가 미리 정한 허용 한계보다 작고, 가짜(균질한 내부)는 이 검사에서 실패했다.",
        ),
        "approximated": (
            "The difference is within twice the tolerance.",
            "차이가 허용 한계의 두 배 이내이다.",
        ),
        "missed": (
            "The difference is beyond the tolerance, and the samples are enough to say so.",
            "차이가 허용 한계를 벗어나며, 그렇게 말하기에 표본이 충분하다.",
        ),
        "inconclusive": ("Too few samples; about 40 are needed.", "표본이 너무 적다. 약 40개가 필요하다."),
        "not assessable": (
            "These images cannot show it, because the estimator imposed it; more of the same will not help.",
            "추정기가 부과한 성질이어서 이 영상들로는 볼 수 없다. 같은 영상을 늘려도 소용없다.",
        ),
    }
    table["sentence_en"] = [words[one][0] for one in table["verdict"]]
    table["sentence_ko"] = [words[one][1] for one in table["verdict"]]
    table["interval"] = [
        f"[{low:g}, {high:g}]" if low == low else "" for low, high in zip(table["low"], table["high"], strict=True)
    ]
    table["n"] = "SEM 12 / TEM 20 / cryo 12"
    table["control"], table["control_result"] = "homogeneous interior", "fails the same test"
    table["margin_reason"] = "a third of the step from haploid to diploid"
    table["reason"], table["would_change"] = "upper bound below the margin", "more whole-cell volumes"
    table["limiting_cause"], table["input_versions"] = (
        "missing wedge",
        "cell_features@4f2a, tomogram_features@91cc",
    )
    table["exploratory"] = table["characteristic"] == "autocorrelation_length"
    return table


def density_levels() -> np.ndarray:
    """A raw picture: grey levels of a gradient."""
    return np.tile(np.linspace(20, 230, 120).astype(np.uint8), (90, 1))


def rate_table() -> pd.DataFrame:
    """Calibration with every kind of outcome."""
    rows = [
        ("wall_thickness", "no difference", "", 40, 34, 0, "yes", 0.95),
        ("wall_thickness", "the tolerance", "", 40, 1, 0, "yes", np.nan),
        ("wall_thickness", "a fake", "homogeneous_interior", 40, 9, 0, "no", np.nan),
        ("log_volume", "no difference", "", 40, 0, 40, "", np.nan),
    ]
    names = ["characteristic", "answer", "fake", "studies", "n_captured", "n_not_assessable", "kept", "coverage"]
    return pd.DataFrame(rows, columns=names)


def bound_table() -> pd.DataFrame:
    names = ["bound", "concerns", "quantity", "value", "unit", "derived_from", "meaning", "would_move_it", "value_then"]
    rows = [
        ("coverage", "wall_thickness", "share of a cell in one tomogram", 0.4, "%", "volumes", "a small part",
         "whole-cell volumes", 100.0),
        ("hidden side", "sphericity", "one view", np.nan, "", "geometry", "half is a prior", "a second view", np.nan),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=names)


def virtual_table() -> pd.DataFrame:
    rows = [
        ("wall_width", "nm", "virtual section", "ln ratio", False, 150.0, 140.0, 6, 5, 0.07, -0.1, 0.24),
        ("wall_width", "nm", "single plane", "ln ratio", True, 150.0, np.nan, 6, 0, np.nan, np.nan, np.nan),
        ("layers_in_order", "", "virtual section", "difference", False, 0.9, 0.8, 6, 5, 0.1, -0.2, 0.4),
    ]
    names = ["quantity", "unit", "compared", "scale", "control", "estimate_tem", "estimate_cryo", "n_tem", "n_cryo"]
    return pd.DataFrame(rows, columns=[*names, "difference", "low", "high"])


def study(*, simulated: bool = True, cells: int = 3, title: str = "Demo yeast") -> ReportData:
    """A study with everything in it."""
    keys = [f"field-a_c{index:03d}" for index in range(cells)]
    tomograms = []
    for index in range(3):
        plane = labels_plane((220, 220), (200, 210), index)[60:180, 90:210]
        arc = (
            ArcCircle((-40.0, 20.0), 1400.0, "r = 1400 ± 60 nm, β = 21 ± 4°", usable=index != 1) if index < 2 else None
        )
        notes = ("No tilt angles were given: ±60° in steps of 3° assumed.",) if index == 1 else ()
        tomograms.append(
            TomogramEntry(
                f"lamella-{index}",
                "lamella",
                density(plane, index, 0.12),
                plane,
                8.0,
                measured("cryo", "t"),
                arc,
                notes,
            )
        )
    pairs = []
    for index in range(min(2, cells)):
        plane = labels_plane((220, 220), (200, 210), index + 9)[55:175, 80:200]
        crisp = density(plane, index, 0.0)
        blurred = (crisp + np.roll(crisp, 2, 0) + np.roll(crisp, -2, 0)) / 3
        worse = blurred + np.random.default_rng(index).normal(0, 0.12, plane.shape).astype(np.float32)
        pairs.append(PairEntry(keys[index], f"lamella-{index}", tomograms[index].density, crisp, worse, 8.0))
    sections = []
    for index in range(4):
        plane = labels_plane((200, 230), (88, 104), index + 30)
        sections.append(SectionEntry(f"block1-{index:02d}", density(plane, index, 0.08), plane, 22.0))
    names = ["wall", "nucleus", "vacuole", "mitochondrion", "lipid_droplet"]
    fractions = pd.DataFrame(
        {"label": names, "v_v": [0.16, 0.07, 0.12, 0.06, 0.01], "low": [0.14, 0.05, 0.08, 0.05, 0.006]}
    )
    fractions = fractions.assign(
        high=[0.19, 0.09, 0.17, 0.08, 0.02], n_sections=20, n_units=20, n_needed=[9, 40, 66, 30, 80]
    )
    s = np.linspace(0, 1, 11)
    shares = {
        "wall": np.exp(-s * 14),
        "cytoplasm": 0.5 + 0 * s,
        "mitochondrion": 0.3 * np.exp(-((s - 0.3) ** 2) * 30),
    }
    shares |= {"vacuole": 0.6 * s, "nucleus": 0.35 * np.exp(-((s - 0.6) ** 2) * 12)}
    depth = pd.concat([pd.DataFrame({"s_bin": s, "label": name, "p": p}) for name, p in shares.items()])
    wall = pd.DataFrame([{"mean_nm": 143.0, "sd_nm": 17.0, "low": 135.0, "high": 151.0, "n_units": 20}])
    return ReportData(
        title=title,
        simulated=simulated,
        verdicts=verdict_table(),
        cells=tuple(cell(index, key) for index, key in enumerate(keys)),
        tomograms=tuple(tomograms),
        sections=tuple(sections),
        pairs=tuple(pairs),
        trust={"wall_thickness": TextBlock("", "Called captured in 34 of 40.", "", "40건 중 34건.")},
        calibration=rate_table(),
        bounds=bound_table(),
        virtual=virtual_table(),
        paragraph=TextBlock("", "Cells were outlined by a network.", "", "세포의 윤곽은 신경망이 찾았다."),
        atlas={"wall": wall, "depth": depth, "fractions": fractions},
        provenance=(
            ProvenanceRow(
                "cell_mesh",
                keys[0] if keys else "",
                "4f2a9c1d77e0b3",
                "run-1",
            ),
            ProvenanceRow("verdicts", "", "91cc00aa11bb22", "run-2"),
            ProvenanceRow("sem_field", "field-a", "77aa00aa11bb22", "run-1"),
        ),
        raw=(
            RawEntry("sem_field", "field-a", "inbox/sem/field a.png", density_levels(), 20.0, "ab" * 32),
            RawEntry("tem_section", "block1-00", "inbox/tem/block1-00.png", density_levels(), 10.0, "", "shown at 1/2"),
        ),
        rests_on=pd.DataFrame(
            [
                ("sphericity", "model", "cell_features", "field-a_c000", "1f" * 32),
                ("sphericity", "model", "raw file of sem_field", "field-a", "2f" * 32),
                ("wall_thickness", "model", "interior_atlas", "", "3f" * 32),
                ("wall_thickness", "model", "raw file of tem_section", "block1-00", "4f" * 32),
                ("wall_thickness", "model", "raw file of tem_section", "not-shown", "5f" * 32),
                ("wall_thickness", "model", "labels drawn for section_labels", "block1-00", "6f" * 32),
            ],
            columns=["characteristic", "side", "asset", "key", "data_version"],
        ),
        left_out=(LeftOut("tem_section", "block9-01", "no pixel size: write pixel_size_nm into block9-01.png.toml"),),
        software={"em2cryo": "0.1.0"},
    )


def without_sections(study: ReportData) -> ReportData:
    """The same study before any TEM section: shapes, and nothing about interiors."""
    bare = tuple(dataclasses.replace(one, cutaway=None, slices=()) for one in study.cells)
    return dataclasses.replace(study, cells=bare, sections=(), pairs=(), atlas={})


def hostile_study(name: str) -> ReportData:
    """A small study in which everything that has a name is called the same."""
    small = study(cells=1, title=name)
    cell = dataclasses.replace(small.cells[0], key=name, field=name, why_not=name)
    raw = dataclasses.replace(small.raw[0], key=name, file=f"inbox/sem/{name}.png", note=name)
    return dataclasses.replace(
        small,
        cells=(cell,),
        tomograms=(dataclasses.replace(small.tomograms[0], key=name, modality=name),),
        raw=(raw,),
        provenance=(ProvenanceRow("sem_field", name, name, name), ProvenanceRow("cell_view", name, name, name)),
        rests_on=small.rests_on.assign(key=name),
        verdicts=small.verdicts.assign(sentence_en=name, sentence_ko=name, reason=name),
        left_out=(LeftOut("sem_field", name, name),),
    )


def empty_study() -> ReportData:
    """A study in which nothing went well."""
    return ReportData(
        title="Nothing yet",
        simulated=False,
        verdicts=pd.DataFrame(),
        left_out=(
            LeftOut("sem_field", "field-1", "no pixel size: write pixel_size_nm into field-1.png.toml"),
            LeftOut("tomogram", "lamella-1", "the file ends after 40 of 120 slices"),
            LeftOut("tem_section", "block-1", "all pixels are black"),
        ),
    )
