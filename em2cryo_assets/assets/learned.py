"""Networks that stages use: the released weights, or weights trained here when a person asks for it.

Belongs here: `sem_mask_model`. Does not belong here: how a network is trained or judged (`sem.mask_trainer`,
`sem.mask_scores`), or what uses it (`assets.masks`).
"""

import shutil
from pathlib import Path
from typing import Final

import dagster as dg
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets import checks
from em2cryo_assets.assets.pictures import pictures, table, windowed
from em2cryo_assets.assets.records import read_record, write_record
from em2cryo_assets.assets.stage import Work, stage_asset
from em2cryo_assets.store.images import read_image, read_labels
from em2cryo_assets.store.tables import read_table, write_table

__all__ = ["MASK_WEIGHTS", "sem_mask_model"]

MASK_WEIGHTS: Final = "sem_masks.safetensors"

_LEAST_IOU: Final = 0.75
_SHOWN: Final = 6

_CONFIG = {
    "weights": dg.Field(
        dg.Enum("Weights", [dg.EnumValue(name) for name in ("keep", "released", "train")]),
        default_value="keep",
        description="keep: those trained here if there are any, else the released ones; released: back to those; "
        "train: on simulated fields, up to 40 minutes on two processors; a stopped training goes on.",
    ),
    "steps": dg.Field(int, default_value=1600, description="Steps of a training, eight crops each."),
    "fields": dg.Field(int, default_value=176, description="Simulated fields to train on; some 3 s each to draw."),
    "seed": dg.Field(int, default_value=0, description="The same seed gives the same weights on the same machine."),
}


@stage_asset("sem_mask_model", checks.SEM_MASK_MODEL, config=_CONFIG)
def sem_mask_model(work: Work) -> None:
    """Publish weights, how they came about, how good they are, and what they make of this study's simulated cells."""
    last = work.study.store.current("sem_mask_model", None)
    trained_here = last is not None and read_record(last)["origin"] == "trained here"
    asked = work.config["weights"]
    if asked == "train":
        _train(work)
        origin = "trained here"
    elif asked == "keep" and trained_here:
        assert last is not None
        for name in (MASK_WEIGHTS, "curve.parquet", "validation.parquet"):
            shutil.copyfile(last.path / name, work.folder / name)
        origin = "trained here"
    else:
        _released(work.folder)
        origin = "released"
    write_record(work.folder, {"origin": origin})
    curve, validation = (read_table(work.folder / f"{name}.parquet") for name in ("curve", "validation"))
    panels, overlaps = _on_simulated_cells(work)
    work.parameters["origin"] = origin
    work.metadata |= {
        **pictures(panels, "simulated cells of this study; outline by the network", simulated=True),
        "origin": origin,
        "steps": len(curve),
        "loss": float(curve["loss"].tail(50).mean()),
        "validation": table(validation),
        "curve": table(curve.iloc[:: max(1, len(curve) // 40)]),
    }
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


def _train(work: Work) -> None:
    """Train where a stopped training can go on, and leave weights and tables in the artifact."""
    from em2cryo_assets.sem.mask_trainer import train_sem_masks

    asked = work.config
    for name, least in (("steps", 1), ("fields", 1), ("seed", 0)):
        if asked[name] < least:
            raise dg.Failure(f"{name} = {asked[name]} is not possible; give {least} or more.", allow_retries=False)
    place = work.study.root / "training" / f"sem_masks-{asked['seed']}-{asked['fields']}-{asked['steps']}"

    def tell(done: int, steps: int, loss: float) -> None:
        if done % 25 == 0 or done == steps:
            work.context.log.info(f"step {done} of {steps}, loss {loss:.3f}")

    made = train_sem_masks(
        place, seed=asked["seed"], steps=asked["steps"], fields=asked["fields"],
        held_out=max(2, asked["fields"] // 11), progress=tell,
    )  # fmt: skip
    shutil.copyfile(made.weights, work.folder / MASK_WEIGHTS)
    # Seconds differ from run to run; the same seed is to give the same bytes.
    write_table(work.folder / "curve.parquet", made.curve.drop(columns="seconds"))
    write_table(work.folder / "validation.parquet", made.validation)
    work.parameters |= {name: asked[name] for name in ("steps", "fields", "seed")}


def _released(folder: Path) -> None:
    """Weights and tables that come with the package."""
    from em2cryo_assets.sem.mask_network import WEIGHTS

    shutil.copyfile(WEIGHTS, folder / MASK_WEIGHTS)
    for name in ("curve", "validation"):
        write_table(folder / f"{name}.parquet", pd.read_csv(WEIGHTS.with_name(f"sem_masks_{name}.csv")))


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
