"""Weights of a network as an asset: those released with the package, or trained here when a person asks for it.

Belongs here: what all networks share, from the launchpad's fields to the files of the artifact. Does not belong here:
the assets themselves (`assets.learned`), how a network is trained or judged.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import dagster as dg
import pandas as pd

from em2cryo_assets.assets.pictures import table
from em2cryo_assets.assets.records import read_record, write_record
from em2cryo_assets.assets.stage import Work
from em2cryo_assets.learning.trained import Trainer
from em2cryo_assets.store.tables import read_table, write_table

__all__ = ["Network", "publish_weights"]

_MEANING: Mapping[str, str] = MappingProxyType(
    {
        "segmenter": "the network, or the way without training that it is compared with",
        "figure": "what is counted on held-out simulated fields",
        "threshold": "least overlap (IoU) at which a cell counts as found; 0: of none",
        "value": "the figure",
        "low": "lower end of its 95 % interval, by a bootstrap over fields",
        "high": "upper end",
        "n": "cells behind it",
        "set": "which held-out simulated images",
        "labeller": "the network, or the way without training that it is compared with",
        "label": "part of the cell",
        "dice": "overlap with the truth: 0 none, 1 complete",
        "dice_low": "lower end of its interval, by a bootstrap",
        "dice_high": "upper end",
        "area_bias": "labelled area over the true area, minus 1",
        "volume_bias": "labelled volume over the true volume, minus 1",
        "sections": "sections behind it",
        "tomograms": "tomograms behind it",
    }
)
_LOSSES: Mapping[str, str] = MappingProxyType(
    {
        "step": "step of the training",
        "loss": "what was minimised: the weighted sum of the parts",
        **{name: f"part of the loss: {name}" for name in ("boundary", "distance", "foreground", "neck", "offset")},
        **{name: f"part of the loss: {name}" for name in ("labels", "dice", "seam")},
        "rate": "learning rate",
    }
)


@dataclass(frozen=True)
class Network:
    """One kind of network.

    Parameters
    ----------
    weights : str
        Name of the weight file in the artifact.
    released : Path
        The file that ships with the package, with ``_curve.csv`` and ``_validation.csv`` beside it.
    trainer : callable
        Gives the training; called when one is asked for only, since trainers import torch.
    steps, examples : int
        Of a training unless the launchpad says otherwise.
    what : str
        What an example is, with its cost, for the launchpad.
    """

    weights: str
    released: Path
    trainer: Callable[[], Trainer]
    steps: int
    examples: int
    what: str

    @property
    def config(self) -> dict[str, dg.Field]:
        """The fields of the launchpad."""
        return {
            "weights": dg.Field(
                dg.Enum("Weights", [dg.EnumValue(name) for name in ("keep", "released", "train")]),
                default_value="keep",
                description="keep: those trained here if there are any, else the released ones; released: back to "
                "those; train: on simulations, up to 40 minutes on two processors; a stopped training goes on.",
            ),
            "steps": dg.Field(int, default_value=self.steps, description="Steps of a training."),
            "examples": dg.Field(int, default_value=self.examples, description=self.what),
            "seed": dg.Field(
                int, default_value=0, description="The same seed gives the same weights on the same machine."
            ),
        }


def publish_weights(work: Work, network: Network) -> pd.DataFrame:
    """Put weights, their curve and their validation table into the artifact, and say where they are from.

    Parameters
    ----------
    work : Work
        Of the model's stage; config, parameters and metadata are used.
    network : Network
        Which one.

    Returns
    -------
    pandas.DataFrame
        The validation table.

    Raises
    ------
    dagster.Failure
        Fewer than one step or example asked for.
    """
    last = work.study.store.current(work.stage.name, None)
    trained_here = last is not None and read_record(last)["origin"] == "trained here"
    asked = work.config
    if asked["weights"] == "train":
        _train(work, network)
        origin = "trained here"
    elif asked["weights"] == "keep" and trained_here:
        assert last is not None
        for name in (network.weights, "curve.parquet", "validation.parquet"):
            shutil.copyfile(last.path / name, work.folder / name)
        origin = "trained here"
    else:
        _release(work.folder, network)
        origin = "released"
    write_record(work.folder, {"origin": origin})
    curve, validation = (read_table(work.folder / f"{name}.parquet") for name in ("curve", "validation"))
    work.parameters["origin"] = origin
    work.metadata |= {
        "origin": origin,
        "steps": len(curve),
        "loss": float(curve["loss"].tail(50).mean()),
        "validation": table(validation, meaning=_MEANING),
        "curve": table(curve.iloc[:: max(1, len(curve) // 40)], meaning={**_MEANING, **_LOSSES}),
    }
    return validation


def _train(work: Work, network: Network) -> None:
    """Train where a stopped training can go on, and leave weights and tables in the artifact."""
    asked = work.config
    for name, least in (("steps", 1), ("examples", 1), ("seed", 0)):
        if asked[name] < least:
            raise dg.Failure(f"{name} = {asked[name]} is not possible; give {least} or more.", allow_retries=False)
    stem = Path(network.weights).stem
    place = work.study.root / "training" / f"{stem}-{asked['seed']}-{asked['examples']}-{asked['steps']}"

    def tell(done: int, steps: int, loss: float) -> None:
        if done % 25 == 0 or done == steps:
            work.context.log.info(f"step {done} of {steps}, loss {loss:.3f}")

    made = network.trainer()(
        place, seed=asked["seed"], steps=asked["steps"], examples=asked["examples"],
        held_out=max(2, asked["examples"] // 11), progress=tell,
    )  # fmt: skip
    shutil.copyfile(made.weights, work.folder / network.weights)
    # Seconds differ from run to run; the same seed is to give the same bytes.
    write_table(work.folder / "curve.parquet", made.curve.drop(columns="seconds"))
    write_table(work.folder / "validation.parquet", made.validation)
    work.parameters |= {name: asked[name] for name in ("steps", "examples", "seed")}


def _release(folder: Path, network: Network) -> None:
    """Weights and tables that come with the package."""
    shutil.copyfile(network.released, folder / network.weights)
    for name in ("curve", "validation"):
        frame = pd.read_csv(network.released.with_name(f"{network.released.stem}_{name}.csv"))
        write_table(folder / f"{name}.parquet", frame)
