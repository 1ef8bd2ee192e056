"""Undoing the drying of SEM cells with the size that living cells have.

Belongs here: the one linear factor of each strain, and the measurement rows that become assessable with it.
Does not belong here: measuring cells (`descriptors`) or judging sizes (`verdicts`).

A preparation for SEM shrinks cells by an unknown factor (prior: 0.85 ± 0.08, linear). The mean diameter of
living cells of the strain, by light microscopy, gives it. The mean size then is the light microscope's; what
the SEM still contributes is how sizes spread about it. Cells of several fields share one factor: by how much
fields dried differently stays in the spread, which makes intervals wider and never narrower.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from em2cryo_assets.compare.shape import equivalent_diameter_um
from em2cryo_assets.compare.statistics import MIN_UNITS

__all__ = ["ABSOLUTE", "DRIED", "undried"]

ABSOLUTE: Final = {"log_volume": 3.0, "log_wall_radius": 1.0}
"""Characteristics with a size in them, and the power of length that they are the logarithm of."""

DRIED: Final = "drying changed the size by an unknown factor; live-cell diameters of the strain are needed"


def undried(features: pd.DataFrame, live_um: Mapping[str, float]) -> tuple[pd.DataFrame, list[str]]:
    """Scale sizes so that the mean diameter of whole SEM cells is that of living ones.

    Parameters
    ----------
    features : pandas.DataFrame
        Measurement rows of SEM cells (`descriptors.MEASUREMENT_COLUMNS`), sizes as dried.
    live_um : mapping of str to float
        Key of a cell to the mean diameter of living cells of its strain, µm: of the sphere of equal volume.
        Cells without one stay as they are.

    Returns
    -------
    features : pandas.DataFrame
        A copy; rows that only drying kept from a comparison are assessable now.
    notes : list of str
        What was scaled by which factor, or why not.

    Raises
    ------
    ValueError
        If a diameter is not positive.
    """
    features = features.copy()
    if not len(features):
        return features, []
    for key, diameter in live_um.items():
        if not diameter > 0:
            raise ValueError(f"The live-cell diameter of {key} must be positive, got {diameter} µm.")
    only_dried = features["reason"] == DRIED
    sizes = features[only_dried & (features["characteristic"] == "log_volume") & features["key"].isin(live_um)]
    dried_um = sizes["value"].map(lambda log_volume: equivalent_diameter_um(np.exp(log_volume)))
    notes = []
    for live, diameters in dried_um.groupby(sizes["key"].map(live_um)):
        if len(diameters) < MIN_UNITS:
            notes.append(f"only {len(diameters)} whole cells for the live-cell diameter of {live:g} µm: not scaled")
            continue
        mean_um = float(diameters.mean())
        chosen = only_dried & features["key"].isin(sizes.loc[diameters.index, "key"])
        power = features.loc[chosen, "characteristic"].map(ABSOLUTE)
        features.loc[chosen, "value"] += power * np.log(live / mean_um)
        features.loc[chosen, "assessable"] = True
        features.loc[chosen, "reason"] = ""
        notes.append(
            f"sizes of {len(diameters)} dried cells (mean diameter {mean_um:.2f} µm) were scaled to the live-cell "
            f"diameter of {live:g} µm: the mean is the light microscope's, the spread the SEM's"
        )
    return features, notes
