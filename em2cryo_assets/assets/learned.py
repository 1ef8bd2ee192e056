"""Networks that stages use: the released weights, or weights trained here when a person asks for it.

Belongs here: `sem_mask_model`, `section_model`, `tomogram_model`. Does not belong here: what all networks share
(`assets.weights`), how one is trained or judged (`sem.mask_trainer`, `tem.section_trainer`, `cryoet.label_trainer` and the
scores beside them), or what uses it (`assets.masks`).
"""

from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets import checks
from em2cryo_assets.assets.pictures import pictures, windowed
from em2cryo_assets.assets.stage import Work, stage_asset
from em2cryo_assets.assets.weights import Network, publish_weights
from em2cryo_assets.cryoet import label_network
from em2cryo_assets.learning.trained import Trainer
from em2cryo_assets.report.raster import colour_codes, grey
from em2cryo_assets.sem.mask_network import WEIGHTS
from em2cryo_assets.store.images import read_image, read_labels
from em2cryo_assets.tem import section_network

__all__ = ["MASK_WEIGHTS", "SECTION_WEIGHTS", "TOMOGRAM_WEIGHTS", "section_model", "sem_mask_model", "tomogram_model"]

MASK_WEIGHTS: Final = "sem_masks.safetensors"

SECTION_WEIGHTS: Final = "section_labels.safetensors"

TOMOGRAM_WEIGHTS: Final = "tomogram_labels.safetensors"

_LEAST_IOU: Final = 0.75
_SHOWN: Final = 6


def _mask_trainer() -> Trainer:
    from em2cryo_assets.sem.mask_trainer import train_sem_masks

    return train_sem_masks


_MASKS: Final = Network(
    MASK_WEIGHTS, WEIGHTS, _mask_trainer, steps=1600, examples=176,
    what="Simulated fields to train on; some 3 s each to draw.",
)  # fmt: skip


@stage_asset("sem_mask_model", checks.SEM_MASK_MODEL, config=_MASKS.config)
def sem_mask_model(work: Work) -> None:
    """Publish weights, how they came about, how good they are, and what they make of this study's simulated cells."""
    validation = publish_weights(work, _MASKS)
    panels, overlaps = _on_simulated_cells(work)
    work.metadata |= pictures(panels, "simulated cells of this study; outline by the network", simulated=True)
    f1 = validation[(validation["figure"] == "F1") & (validation["threshold"] == _LEAST_IOU)]
    ours, baseline = (float(f1["value"][f1["segmenter"] == name].iloc[0]) for name in ("network", "regions"))
    work.check(
        "beats_the_baseline", ours > baseline,
        f"On held-out simulated piles F1 at IoU {_LEAST_IOU} is {ours:.3f}, without a network {baseline:.3f}.",
        network=ours, baseline=baseline,
    )  # fmt: skip
    worst = min(overlaps, default=0.0)
    work.check(
        "finds_simulated_cells", worst >= _LEAST_IOU,
        f"The simulated cells of this study are outlined with IoU {worst:.3f} or more ({_LEAST_IOU} is asked for).",
        worst=worst,
    )  # fmt: skip


def _on_simulated_cells(work: Work) -> tuple[list[NDArray[np.uint8]], list[float]]:
    """Outlines on the SEM pictures of `phantom_cells`, and each one's overlap with the truth."""
    from scipy import ndimage

    from em2cryo_assets.sem.mask_decoding import network_labels
    from em2cryo_assets.sem.mask_network import mask_net

    cells = work.one("phantom_cells")
    net = mask_net(work.folder / MASK_WEIGHTS)
    panels: list[NDArray[np.uint8]] = []
    overlaps = []
    for path in sorted(cells.path.glob("*-sem.ome.zarr")):
        picture = read_image(path)
        image = np.asarray(picture.data, dtype=np.float32)
        truth = np.asarray(read_labels(path, "cell")) > 0
        labels = network_labels(image, float(picture.voxel_nm[0]), net=net)
        found = [labels == label for label in range(1, int(labels.max()) + 1)]
        overlaps.append(max((float((one & truth).sum() / (one | truth).sum()) for one in found), default=0.0))
        if len(panels) < _SHOWN:
            shown = np.repeat(windowed(image)[..., None], 3, axis=2)
            shown[ndimage.grey_dilation(labels, 3) != ndimage.grey_erosion(labels, 3)] = (255, 176, 0)
            panels.append(shown)
    return panels, overlaps


def _section_trainer() -> Trainer:
    from em2cryo_assets.tem.section_trainer import train_section_labels

    return train_section_labels


_SECTIONS: Final = Network(
    SECTION_WEIGHTS, section_network.WEIGHTS, _section_trainer, steps=6000, examples=240,
    what="Simulated cells to train on, each cut five times; some 1 s each to draw.",
)  # fmt: skip

_LEAST_DICE: Final = 0.8
_ASKED: Final = ("wall", "cytoplasm", "nucleus", "vacuole")


@stage_asset("section_model", checks.SECTION_MODEL, config=_SECTIONS.config)
def section_model(work: Work) -> None:
    """Publish weights, how they came about, how good they are, and what they make of this study's simulated sections."""
    validation = publish_weights(work, _SECTIONS)
    panels, dice = _on_simulated_sections(work)
    work.metadata |= pictures(
        panels, "simulated sections of this study; truth; by the network", simulated=True, labels=True
    )
    asked = validation[~validation["label"].isin(("outside", "membrane"))]
    means = asked.groupby("labeller")["dice"].mean()
    ours, baseline = float(means["network"]), float(means["levels"])
    work.check(
        "beats_the_baseline", ours > baseline,
        f"On held-out simulated sections the mean Dice of walls and interior is {ours:.3f}, without a network "
        f"{baseline:.3f}.",
        network=ours, baseline=baseline,
    )  # fmt: skip
    worst = min(dice.values(), default=0.0)
    work.check(
        "labels_simulated_cells", worst >= _LEAST_DICE,
        f"Dice of {', '.join(_ASKED)} on the simulated sections of this study is {worst:.3f} or more ({_LEAST_DICE} is "
        "asked for).",
        worst=worst,
    )  # fmt: skip


def _on_simulated_sections(work: Work) -> tuple[list[NDArray[np.uint8]], dict[str, float]]:
    """Sections of `phantom_cells` with true and found labels, and each asked label's Dice over all of them."""
    from em2cryo_assets.tem.section_decoding import network_section
    from em2cryo_assets.tem.section_scores import confusion, pooled

    cells = work.one("phantom_cells")
    net = section_network.section_net(work.folder / SECTION_WEIGHTS)
    panels: list[NDArray[np.uint8]] = []
    areas = np.zeros((8, 8))
    for path in sorted(cells.path.glob("*-section.ome.zarr")):
        picture = read_image(path)
        image = np.asarray(picture.data, dtype=np.float32)
        truth = np.asarray(read_labels(path, "interior"))
        side = float(picture.voxel_nm[0])
        labels = network_section(image, side, net=net).labels
        areas += confusion(truth, labels, np.ones(truth.shape, bool)) * side**2
        if len(panels) < _SHOWN:
            panels += [255 - grey(image), colour_codes(truth), colour_codes(labels)]
    return panels, {name: dice for name, (dice, _) in pooled(areas).items() if name in _ASKED}


def _tomogram_trainer() -> Trainer:
    from em2cryo_assets.cryoet.label_trainer import train_tomogram_labels

    return train_tomogram_labels


_TOMOGRAMS: Final = Network(
    TOMOGRAM_WEIGHTS, label_network.WEIGHTS, _tomogram_trainer, steps=1800, examples=240,
    what="Simulated cells to train on, six windows each; some 1 s each to draw.",
)  # fmt: skip

_LEAST_WALL: Final = 0.8
_ASKED_OF_TOMOGRAMS: Final = ("wall", "nucleus", "vacuole")


@stage_asset("tomogram_model", checks.TOMOGRAM_MODEL, config=_TOMOGRAMS.config)
def tomogram_model(work: Work) -> None:
    """Publish weights, how they came about, how good they are, and what they make of this study's simulated lamellae."""
    validation = publish_weights(work, _TOMOGRAMS)
    panels, dice = _on_simulated_lamellae(work)
    work.metadata |= pictures(
        panels, "simulated lamellae of this study; truth; by the network", simulated=True, labels=True
    )
    asked = validation[validation["label"].isin(_ASKED_OF_TOMOGRAMS)]
    means = asked.groupby("labeller")["dice"].mean()
    ours, baseline = float(means["network"]), float(means["layers"])
    work.check(
        "beats_the_baseline", ours > baseline,
        f"On held-out simulated tomograms the mean Dice of wall, nucleus and vacuole is {ours:.3f}, without a network "
        f"{baseline:.3f}.",
        network=ours, baseline=baseline,
    )  # fmt: skip
    wall = dice.get("wall", 0.0)
    work.check(
        "labels_simulated_cells", wall >= _LEAST_WALL,
        f"Dice of the wall in the simulated lamellae of this study is {wall:.3f} ({_LEAST_WALL} is asked for).",
        wall=wall,
    )  # fmt: skip


def _on_simulated_lamellae(work: Work) -> tuple[list[NDArray[np.uint8]], dict[str, float]]:
    """Middle slices of lamellae of `phantom_cells` with true and found labels, and each label's Dice over all of them."""
    from em2cryo_assets.cryoet.label_decoding import network_slab
    from em2cryo_assets.cryoet.label_scores import confusion
    from em2cryo_assets.cryoet.labels import label_tomogram
    from em2cryo_assets.learning.overlap import pooled_overlap
    from em2cryo_assets.vocabulary import LABELS

    cells = work.one("phantom_cells")
    net = label_network.slab_net(work.folder / TOMOGRAM_WEIGHTS)
    panels: list[NDArray[np.uint8]] = []
    volumes = np.zeros((len(LABELS), len(LABELS)))
    for path in sorted(cells.path.glob("*-lamella.ome.zarr")):
        stored = read_image(path)
        density = np.asarray(stored.data, dtype=np.float32)
        truth = np.asarray(read_labels(path, "interior"))
        sides = (stored.voxel_nm[0], stored.voxel_nm[1], stored.voxel_nm[2])
        labels = label_tomogram(density, sides, "lamella", slab=partial(network_slab, net=net)).labels
        volumes += confusion(truth, labels)
        if len(panels) < _SHOWN:
            middle = len(density) // 2
            panels += [grey(density[middle]), colour_codes(truth[middle]), colour_codes(labels[middle])]
    return panels, {name: dice for name, (dice, _) in pooled_overlap(volumes, LABELS).items()}
