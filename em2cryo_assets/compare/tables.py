"""Declared schemas of the tables that stages hand on.

Belongs here: columns, types, ranges and what each column means, checked whenever such a table is written; the data
dictionary and the descriptions in the UI are made of them. Does not belong here: how the numbers come about.
"""

from collections.abc import Mapping
from typing import Any, Final

import pandera.pandas as pa

__all__ = [
    "COMPARISON_TABLE",
    "LIMITATIONS",
    "LIMITATION_COLUMNS",
    "MEASUREMENTS",
    "RESTS_ON",
    "VERDICTS",
    "VIRTUAL_TEM",
]


def _text(description: str, *checks: pa.Check, **more: Any) -> pa.Column:
    return pa.Column(str, list(checks), description=description, **more)


def _number(description: str) -> pa.Column:
    return pa.Column(float, nullable=True, description=description)


def _count(description: str) -> pa.Column:
    return pa.Column(int, pa.Check.ge(0), coerce=True, description=description)


def _flag(description: str) -> pa.Column:
    return pa.Column(bool, description=description)


_NOT_EMPTY: Final = pa.Check.str_length(min_value=1)
_CHARACTERISTIC: Final = "what is compared, as in `compare/characteristics.py`"
_UNIT: Final = "unit of the estimates; empty for pure numbers"
_FAMILY: Final = "rows of a family share one error level"
_EXPLORATORY: Final = "no tolerance was laid down in the study's plan: kept apart"
_MODEL: Final = "the model's side: mean over units; of distances, model against real"
_REFERENCE: Final = "the frozen-hydrated side: mean over units; of distances, real against real"
_COUNTS: Final[Mapping[str, pa.Column]] = {
    "n_sem": _count("SEM cells on the model's side"),
    "n_tem": _count("cells in TEM sections on the model's side"),
    "n_cryo": _count("independent frozen-hydrated cells"),
}

MEASUREMENTS = pa.DataFrameSchema(
    {
        "side": _text("which side measured: sem, tem or cryo", pa.Check.isin(["sem", "tem", "cryo"])),
        "key": _text("cell, section or tomogram"),
        "unit": _text("the independent cell; empty: the key stands for it"),
        "block": _text("resin block or field; empty where not recorded"),
        "modality": _text("how it was imaged"),
        "characteristic": _text(_CHARACTERISTIC),
        "value": _number("the measured value; empty where it could not be measured"),
        "sd": _number("its standard deviation by the measurement itself; empty where not known"),
        "unit_of_measure": _text(_UNIT),
        "assessable": _flag("whether the image can show it at all"),
        "reason": _text("why not, if not"),
        "n_support": _count("voxels or pixels that the value rests on; of sections, cell area in (10 nm)²"),
    },
    checks=pa.Check(
        lambda rows: rows["assessable"] | (rows["reason"] != ""), error="what is not assessable needs a reason"
    ),
    strict=True,
)

COMPARISON_TABLE = pa.DataFrameSchema(
    {
        "characteristic": _text(_CHARACTERISTIC, unique=True),
        "family": _text(_FAMILY),
        "unit": _text(_UNIT),
        "scale": _text(
            "difference of means, ratio of means, distance (excess over real against real), or order (never judged)",
            pa.Check.isin(["difference", "ratio", "distance", "order"]),
        ),
        "exploratory": _flag(_EXPLORATORY),
        "model_side": _text("what provides the model: sem, tem or pairs", pa.Check.isin(["sem", "tem", "pairs"])),
        "estimate_model": _number(_MODEL),
        "estimate_reference": _number(_REFERENCE),
        "sd_model": _number("SD between the model's units"),
        "sd_reference": _number("SD between the reference's units"),
        "n_model": _count("independent units of the model's side"),
        "n_reference": _count("independent units of the reference's side"),
        **_COUNTS,
        "measurement_sd": _number("larger of both sides' SD of one measurement, on the scale of the tolerance"),
        "excess": _number("of distances: model against real minus real against real"),
        "excess_se": _number("its standard error, by a jackknife over tomograms"),
        "auc": _number("of distances: probability that the model lies further from real than real does"),
        "cause": _text("why there is nothing to compare, as one word; empty where there is"),
        "reason": _text("the same in words"),
        "note": _text("what was left out or rescaled"),
        "units_model": _text("JSON: value by unit of the model's side"),
        "units_reference": _text("JSON: value by unit of the reference's side"),
        "controls": _text("JSON: the fakes that are valid here, and how they fare"),
    },
    strict=True,
)

VERDICTS = pa.DataFrameSchema(
    {
        "characteristic": _text(_CHARACTERISTIC, unique=True),
        "family": _text(_FAMILY),
        "unit": _text(_UNIT),
        "estimate_model": _number(_MODEL),
        "estimate_reference": _number(_REFERENCE),
        "difference": _number("model minus reference; of ratios, their natural logarithm; of distances, the excess"),
        "low": _number("lower end of the interval, on the scale of the difference"),
        "high": _number("upper end of the interval"),
        "level": _number("confidence level of the interval: the one at which the row was judged"),
        "interval": _text("the interval as printed; of ratios in per cent", _NOT_EMPTY),
        "margin": _number("tolerance δ, on the scale of the difference"),
        "margin_reason": _text("δ as printed, and why it is as large as it is"),
        "n": _text("numbers of SEM cells, TEM cells and frozen-hydrated cells as printed"),
        **_COUNTS,
        "n_units": _count("independent units of the scarcer side"),
        "power": _number("probability to show equivalence within δ if nothing differed"),
        "quality": _number("(D_fake - D_model)/(D_fake - D_real) of distances: a description, never a gate"),
        "control": _text("the fake that is hardest to tell apart among those valid here"),
        "control_result": _text("whether it failed the same test"),
        "verdict": _text(
            "captured, approximated, missed, inconclusive or not assessable",
            pa.Check.isin(["captured", "approximated", "missed", "inconclusive", "not assessable"]),
        ),
        "reason": _text("what decided", _NOT_EMPTY),
        "limiting_cause": _text("what bounds the answer"),
        "would_change": _text("what would change it"),
        "sentence_en": _text("the verdict in one plain sentence", _NOT_EMPTY),
        "sentence_ko": _text("the same in Korean", _NOT_EMPTY),
        "exploratory": _flag(_EXPLORATORY),
        "simulated": _flag("whether any file of the study was simulated"),
        "input_versions": _text("data version of the comparison table that was judged"),
    },
    strict=True,
)

LIMITATIONS = pa.DataFrameSchema(
    {
        "bound": _text("what bounds the answer", _NOT_EMPTY),
        "concerns": _text("the characteristics it concerns"),
        "quantity": _text("by what it is measured"),
        "value": _number("how much it is in this study"),
        "unit": _text("unit of the value; empty for pure numbers"),
        "derived_from": _text("formula or source"),
        "meaning": _text("what follows for a reader"),
        "would_move_it": _text("the acquisition that would move it"),
        "value_then": _number("how much it would be then; empty where it cannot be said"),
    },
    strict=True,
)

LIMITATION_COLUMNS: Final = tuple(LIMITATIONS.columns)

RESTS_ON = pa.DataFrameSchema(
    {
        "characteristic": _text(_CHARACTERISTIC),
        "side": _text("model or reference; pairs serve both", pa.Check.isin(["model", "reference", "both"])),
        "asset": _text("asset that measured, or `raw file of` the asset that read it", _NOT_EMPTY),
        "key": _text("its key; empty for assets without partitions"),
        "data_version": _text("digest of what was read", _NOT_EMPTY),
    },
    strict=True,
)

VIRTUAL_TEM = pa.DataFrameSchema(
    {
        "quantity": _text("wall_width, wall_level or layers_in_order (`compare/virtual_tem.py`)", _NOT_EMPTY),
        "unit": _text(_UNIT),
        "compared": _text(
            "what of the tomograms is compared with TEM sections: virtual section (projected like these), random "
            "planes (walls as these would have cut them), and the controls single plane and permuted depth"
        ),
        "scale": _text("of the difference: ln ratio, or difference", pa.Check.isin(["ln ratio", "difference"])),
        "control": _flag("whether the row is a control: not projected, or depths in random order"),
        "estimate_tem": _number("mean over units of TEM sections"),
        "estimate_cryo": _number("mean over frozen-hydrated cells"),
        "n_tem": _count("resin blocks, or cells where there are fewer than four blocks"),
        "n_cryo": _count("independent frozen-hydrated cells"),
        "difference": _number("TEM minus frozen-hydrated, on the scale given"),
        "low": _number("lower end of its 95 % interval; empty with fewer than four units a side"),
        "high": _number("upper end"),
        "sentence": _text("the row in one plain sentence", _NOT_EMPTY),
    },
    strict=True,
)
