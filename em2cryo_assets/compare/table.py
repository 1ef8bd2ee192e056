"""One row a characteristic: both estimates, their units, and what its fakes would show.

Belongs here: choosing the rows that may be compared, averaging them over independent units, and saying
why a characteristic has nothing to compare. Does not belong here: tests and verdicts (`verdicts`).
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets.compare.characteristics import CHARACTERISTICS, Characteristic
from em2cryo_assets.compare.descriptors import OF_ONE_CELL
from em2cryo_assets.compare.distances import VALID_CONTROLS, distance_excess
from em2cryo_assets.compare.drying import ABSOLUTE, undried
from em2cryo_assets.compare.margins import MARGINS
from em2cryo_assets.compare.record import SLAB_MODALITIES, WHOLE_CELL_MODALITIES
from em2cryo_assets.compare.scalar_controls import scalar_controls
from em2cryo_assets.compare.statistics import MIN_UNITS, Sample, linearised
from em2cryo_assets.vocabulary import ORGANELLES

__all__ = ["TABLE_COLUMNS", "comparable_pairs", "comparison_table", "usable_rows", "whole_first"]

TABLE_COLUMNS: Final = (
    "characteristic",
    "family",
    "unit",
    "scale",
    "exploratory",
    "model_side",
    "estimate_model",
    "estimate_reference",
    "sd_model",
    "sd_reference",
    "n_model",
    "n_reference",
    "n_sem",
    "n_tem",
    "n_cryo",
    "measurement_sd",
    "excess",
    "excess_se",
    "auc",
    "cause",
    "reason",
    "note",
    "units_model",
    "units_reference",
    "controls",
)
"""``units_*`` (values by unit) and ``controls`` are JSON; ``cause`` is empty where there is a comparison."""

_NAN: Final = float("nan")


def comparison_table(
    cell_features: pd.DataFrame,
    tomogram_features: pd.DataFrame,
    tem_measurements: pd.DataFrame,
    pair_vectors: pd.DataFrame,
    *,
    live_um: Mapping[str, float] = MappingProxyType({}),
    seed: int = 0,
) -> pd.DataFrame:
    """Bring everything measured in a study into one row a characteristic.

    Parameters
    ----------
    cell_features, tomogram_features, tem_measurements : pandas.DataFrame
        Measurement tables (`descriptors.MEASUREMENT_COLUMNS`); any may be empty, without columns too.
    pair_vectors : pandas.DataFrame
        Vectors of all pairs (`pairs.PAIR_COLUMNS`), or empty.
    live_um : mapping of str to float
        Cell to the mean diameter of living cells of its strain, µm, where it is known; see `drying`.
    seed : int
        Of the random halves of the distances.

    Returns
    -------
    pandas.DataFrame
        `TABLE_COLUMNS`, a row for every entry of `characteristics.CHARACTERISTICS`, in its order. For
        distances ``estimate_model`` is model against real and ``estimate_reference`` real against real.

    Raises
    ------
    ValueError
        If a table that has rows lacks a column.
    """
    sem = _checked(cell_features, _MEASURED, "cell_features")
    cryo = _checked(tomogram_features, _MEASURED, "tomogram_features")
    tem = _checked(tem_measurements, _MEASURED, "tem_measurements")
    pairs = _checked(pair_vectors, _PAIRED, "pair_vectors")
    sem, scaled = undried(sem, live_um)
    rows = []
    for spec in CHARACTERISTICS.values():
        if spec.model_side == "pairs":
            row = _paired_row(spec, sem, cryo, tem, pairs, seed)
        else:
            row = _scalar_row(spec, sem if spec.model_side == "sem" else tem, cryo, tem)
        if spec.name in ABSOLUTE:
            row["note"] = "; ".join(filter(None, [str(row["note"]), *scaled]))
        rows.append(_BLANK | _identity(spec) | row)
    return pd.DataFrame(rows, columns=list(TABLE_COLUMNS))


_MEASURED: Final = (
    "key",
    "unit",
    "block",
    "modality",
    "characteristic",
    "value",
    "sd",
    "assessable",
    "reason",
)
_PAIRED: Final = (
    "tomogram",
    "unit_cell",
    "unit_tomogram",
    "variant",
    "characteristic",
    "bin",
    "value",
    "weight",
)

_BLANK: Final[dict[str, object]] = {
    **dict.fromkeys(("estimate_model", "estimate_reference", "sd_model", "sd_reference"), _NAN),
    **dict.fromkeys(("measurement_sd", "excess", "excess_se", "auc"), _NAN),
    **dict.fromkeys(("n_model", "n_reference", "n_sem", "n_tem", "n_cryo"), 0),
    **dict.fromkeys(("cause", "reason", "note"), ""),
    **dict.fromkeys(("units_model", "units_reference"), "{}"),
    "controls": "[]",
}


def _checked(table: pd.DataFrame, columns: tuple[str, ...], name: str) -> pd.DataFrame:
    if table is None or not len(table):
        return pd.DataFrame({c: pd.Series(dtype=object) for c in columns})
    absent = sorted(set(columns) - set(table.columns))
    if absent:
        raise ValueError(f"{name} lacks the columns {', '.join(absent)}.")
    table = table.reset_index(drop=True)
    texts = [c for c in ("key", "unit", "block", "modality", "reason", "unit_cell", "unit_tomogram") if c in columns]
    return table.assign(**{c: table[c].fillna("").astype(str) for c in texts})


def _identity(spec: Characteristic) -> dict[str, object]:
    return {
        "characteristic": spec.name,
        "family": spec.family,
        "unit": spec.unit,
        "scale": spec.scale,
        "exploratory": spec.exploratory,
        "model_side": spec.model_side,
    }


def usable_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of a measurement table that are assessable and have a number."""
    if not len(rows):
        return rows
    return rows[rows["assessable"].astype(bool) & np.isfinite(rows["value"].astype(float))]


def _why(rows: pd.DataFrame, fallback: str) -> str:
    """Pick the reason most rows give; one that holds for every cell goes before a cell's own bad luck."""
    reasons = rows.loc[rows["reason"] != "", "reason"].tolist()
    general = [r for r in reasons if not r.startswith(OF_ONE_CELL)] or reasons
    return max(sorted(set(general)), key=general.count) if general else fallback


def _model_cause(spec: Characteristic, rows: pd.DataFrame, side: pd.DataFrame) -> tuple[str, str]:
    if not len(side):
        missing = "SEM cells" if spec.model_side == "sem" else "TEM sections with a cell"
        return f"no_{spec.model_side}", f"no {missing} were imaged"
    reason = _why(rows, "it was not measured on the model's side")
    if "imposed" in reason:
        return "imposed", reason
    return ("drying", reason) if "drying" in reason or "live-cell" in reason else ("unmeasured_model", reason)


def _reference_cause(spec: Characteristic, rows: pd.DataFrame, cryo: pd.DataFrame) -> tuple[str, str]:
    if not len(cryo):
        return "no_cryo", "no frozen-hydrated cells were imaged"
    fitting = rows[rows["modality"].isin(spec.modalities)]
    if not len(fitting):
        return "not_in_slab", spec.elsewhere
    return "unmeasured_reference", _why(fitting, "it was not measured in any reference volume")


def _scalar_row(spec: Characteristic, side: pd.DataFrame, cryo: pd.DataFrame, tem: pd.DataFrame) -> dict[str, object]:
    mine, theirs = (t[t["characteristic"] == spec.name] for t in (side, cryo))
    model_rows = usable_rows(mine)
    reference_rows = usable_rows(theirs[theirs["modality"].isin(spec.modalities)])
    reference_rows, notes = whole_first(spec, reference_rows)
    cause, reason = "", ""
    if not len(model_rows):
        cause, reason = _model_cause(spec, mine, side)
    elif not len(reference_rows):
        cause, reason = _reference_cause(spec, theirs, cryo)
    notes += _left_out(mine, model_rows, "model")
    by = "unit"
    if spec.model_side == "tem" and len(model_rows) and (model_rows["block"] != "").all():
        # Cells of a block share fixation and staining: blocks are the units once there are enough.
        if model_rows["block"].nunique() >= MIN_UNITS:
            by = "block"
        else:
            notes.append(f"fewer than {MIN_UNITS} blocks: cells stand as units, what blocks differ by is not in it")
    # TEM values are linearised upstream, a cell each, so that their mean is the ratio of sums; averaged over
    # a block they must count by its cells. SEM cells count alike.
    model = _units(model_rows, by, np.ones(len(model_rows)) if by == "block" else None)
    reference = _units(reference_rows, "unit", _volumes(reference_rows, cryo, notes) if spec.weighted else None)
    a, b = Sample.of(list(model.values())), Sample.of(list(reference.values()))
    measured = _measurement_sd(spec, model_rows, a), _measurement_sd(spec, reference_rows, b)
    known = [v for v in measured if np.isfinite(v)]
    controls = []
    if not cause and min(a.n, b.n) >= 2:
        shares = _shares(tem) if spec.weighted else {}
        made = scalar_controls(spec.name, a, b, shares, MARGINS[spec.name].delta)
        controls = [c._asdict() for c in made]
    return {
        "estimate_model": a.mean,
        "estimate_reference": b.mean,
        "sd_model": float(np.sqrt(a.variance)),
        "sd_reference": float(np.sqrt(b.variance)),
        "n_model": a.n,
        "n_reference": b.n,
        "n_sem": model_rows["unit"].nunique() if spec.model_side == "sem" else 0,
        "n_tem": model_rows["unit"].nunique() if spec.model_side == "tem" else 0,
        "n_cryo": b.n,
        "measurement_sd": max(known) if known else _NAN,
        "cause": cause,
        "reason": reason,
        "note": "; ".join(notes),
        "units_model": json.dumps(model, sort_keys=True),
        "units_reference": json.dumps(reference, sort_keys=True),
        "controls": json.dumps(controls),
    }


def whole_first(spec: Characteristic, rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Of a scalar that whole cells and slabs both show, the whole cells where there are enough of them.

    An arc's ln R_n scatters by .33 about a median 3 % low, by where and through which cells, or buds, it was cut; a whole
    cell's by .05 about no bias. In one mean, the mixture would be a matter of how many of each there are.
    """
    whole = rows["modality"].isin(WHOLE_CELL_MODALITIES)
    slabs = rows["modality"].isin(SLAB_MODALITIES)
    if not slabs.any() or rows.loc[whole, "unit"].nunique() < MIN_UNITS:
        return rows, []
    return rows[~slabs], [
        f"{int(slabs.sum())} measured in slabs left out: whole cells show it without choosing a place"
    ]


def _units(rows: pd.DataFrame, by: str, weights: NDArray[np.float64] | None) -> dict[str, float]:
    """One value an independent unit; with weights, values whose mean is the ratio of sums."""
    if not len(rows):
        return {}
    w = np.ones(len(rows)) if weights is None else weights
    frame = pd.DataFrame({"unit": rows[by].to_numpy(), "w": w, "wv": w * rows["value"].to_numpy(dtype=float)})
    frame["unit"] = np.where(frame["unit"] == "", rows["key"].to_numpy(), frame["unit"])
    sums = frame.groupby("unit", sort=True).sum()
    values = (sums["wv"] / sums["w"]).to_numpy()
    if weights is not None:
        values = linearised(values, sums["w"].to_numpy())
    return dict(zip(sums.index.tolist(), values.tolist(), strict=True))


def _volumes(rows: pd.DataFrame, cryo: pd.DataFrame, notes: list[str]) -> NDArray[np.float64] | None:
    """Cell volumes of the reference, by which shares are weighted as sections weight them."""
    sizes = cryo[(cryo["characteristic"] == "log_volume") & np.isfinite(cryo["value"].astype(float))]
    sizes = sizes.drop_duplicates("key")  # with a bud too, whose volume is no single body's but holds what it holds
    volume = rows["key"].map(dict(zip(sizes["key"], np.exp(sizes["value"].astype(float)), strict=True)))
    if volume.notna().all() and len(rows):
        return volume.to_numpy(dtype=float)
    if len(rows):
        notes.append("some reference cells have no volume: their shares count equally, not by volume")
    return None


def _measurement_sd(spec: Characteristic, rows: pd.DataFrame, sample: Sample) -> float:
    """Root mean square of the recorded measurement SDs, on the scale of the margin; NaN if none is known."""
    sd = rows["sd"].to_numpy(dtype=float) if len(rows) else np.array([])
    sd = sd[np.isfinite(sd)]
    if not sd.size:
        return _NAN
    rms = float(np.sqrt(np.mean(sd**2)))
    if spec.scale == "ratio":
        return rms / abs(sample.mean) if sample.mean else _NAN
    return rms


def _shares(tem: pd.DataFrame) -> dict[str, float]:
    rows = usable_rows(tem)
    means = {o: rows.loc[rows["characteristic"] == f"fraction_{o}", "value"].astype(float) for o in ORGANELLES}
    return {organelle: float(v.mean()) for organelle, v in means.items() if len(v)}


def _left_out(rows: pd.DataFrame, usable: pd.DataFrame, side: str) -> list[str]:
    if not len(usable) or len(usable) == len(rows):
        return []
    lost = rows.drop(usable.index)
    counted = Counter((reason or "undefined").removeprefix(OF_ONE_CELL) for reason in lost["reason"])
    listed = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    why = listed[0][0] if len(listed) == 1 else ", ".join(f"{n} {reason}" for reason, n in listed)
    return [f"{len(lost)} of {len(rows)} on the {side}'s side left out: {why}"]


def _paired_row(
    spec: Characteristic,
    sem: pd.DataFrame,
    cryo: pd.DataFrame,
    tem: pd.DataFrame,
    pairs: pd.DataFrame,
    seed: int,
) -> dict[str, object]:
    if not len(sem):
        return {"cause": "no_sem", "reason": "no SEM cells were imaged"}
    if not len(tem):
        return {"cause": "no_tem", "reason": "no TEM sections with a cell were imaged", "n_sem": sem["unit"].nunique()}
    blocks = tem["block"].where(tem["block"] != "", tem["unit"])
    n_tem = max(blocks.nunique(), 0) if blocks.nunique() >= MIN_UNITS else tem["unit"].nunique()
    base: dict[str, object] = {"n_tem": tem["unit"].nunique(), "n_model": n_tem}
    mine = pairs[pairs["characteristic"] == spec.name]
    mine, notes = comparable_pairs(spec, mine, cryo)
    base |= {"note": "; ".join(notes), "n_sem": mine["unit_cell"].nunique() if len(mine) else 0}
    if not len(mine[mine["variant"] == "model"]):
        cause, reason = _reference_cause(spec, cryo[cryo["characteristic"] == spec.name], cryo)
        return base | {"cause": cause, "reason": reason}
    units = mine.loc[mine["variant"] == "model", "unit_tomogram"].nunique()
    base |= {"n_cryo": units, "n_reference": units}
    if spec.scale == "order":
        tau = mine[mine["variant"] == "model"].groupby("unit_tomogram")["value"].mean().astype(float)
        reason = "stained resin and vitreous ice show different things: reported, not judged"
        return base | {"estimate_model": float(tau.mean()), "cause": "modality", "reason": reason}
    result = distance_excess(mine, spec.name, "model", seed=seed)
    if result is None:
        return base
    controls = []
    for name in VALID_CONTROLS[spec.name]:
        fake = distance_excess(mine, spec.name, name, seed=seed)
        if fake is not None:
            fields = {"distance": fake.observed, "excess": fake.excess, "se": fake.se, "auc": fake.auc}
            controls.append({"name": name, "n": fake.n_units} | fields)
    return base | {
        "estimate_model": result.observed,
        "estimate_reference": result.positive,
        "sd_reference": result.se * float(np.sqrt(result.n_units)),
        "n_cryo": result.n_units,
        "n_reference": result.n_units,
        "n_sem": result.n_cells,
        "excess": result.excess,
        "excess_se": result.se,
        "auc": result.auc,
        "controls": json.dumps(controls),
    }


def comparable_pairs(spec: Characteristic, pairs: pd.DataFrame, cryo: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Pairs with tomograms that may be used for this, of one modality only."""
    if not len(pairs):
        return pairs, []
    modality = dict(zip(cryo["key"], cryo["modality"], strict=True))
    rows = cryo[cryo["characteristic"] == spec.name]
    barred = set(rows.loc[~rows["assessable"].astype(bool), "key"]) if len(rows) else set()
    pairs = pairs[~pairs["tomogram"].isin(barred)]
    why = _why(rows[rows["key"].isin(barred)], "undefined")
    notes = [f"{len(barred)} tomogram{'s' * (len(barred) > 1)} left out: {why}"] if barred else []
    kinds = pairs["tomogram"].map(modality).fillna("")
    counts = pairs.assign(kind=kinds).groupby("kind")["unit_tomogram"].nunique()
    # Averages of vectors from unlike instruments mean nothing: take one kind, slabs of a cell first.
    order: Iterable[str] = [k for k in (*SLAB_MODALITIES, *reversed(WHOLE_CELL_MODALITIES), "") if k in counts.index]
    ranked = sorted(order, key=lambda k: counts[k] < MIN_UNITS)
    if not ranked:
        return pairs.iloc[:0], notes
    if len(ranked) > 1:
        notes.append(f"compared with {ranked[0] or 'unnamed'} volumes only")
    return pairs[kinds == ranked[0]], notes
