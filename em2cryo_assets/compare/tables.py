"""Declared schemas of the tables that stages hand on.

Belongs here: columns, types, ranges and what each column means, checked whenever such a table is written; the data
dictionary and the descriptions in the UI are made of them. Does not belong here: how the numbers come about.
"""

from collections.abc import Mapping
from typing import Final

import pandera.pandas as pa

from em2cryo_assets.store.columns import count, flag, number, text

__all__ = [
    "COMPARISON_TABLE",
    "LIMITATIONS",
    "LIMITATION_COLUMNS",
    "MEASUREMENTS",
    "RESTS_ON",
    "VERDICTS",
    "VIRTUAL_TEM",
]


_NOT_EMPTY: Final = pa.Check.str_length(min_value=1)
_NOT_NEGATIVE: Final = pa.Check.ge(0)
_CHARACTERISTIC: Final = "what is compared; the list of characteristics says what each is"
_UNIT: Final = "unit of the estimates; empty for pure numbers"
_FAMILY: Final = "rows of a family share one error level"
_EXPLORATORY: Final = "its tolerance was no part of the first plan: kept apart, judged in a family of its own"
_MODEL: Final = "the model's side: mean over units; of distances, model against real"
_REFERENCE: Final = "the frozen-hydrated side: mean over units; of distances, real against real"
_COUNTS: Final[Mapping[str, pa.Column]] = {
    "n_sem": count("SEM cells on the model's side", _NOT_NEGATIVE),
    "n_tem": count("cells in TEM sections on the model's side", _NOT_NEGATIVE),
    "n_cryo": count("independent frozen-hydrated cells", _NOT_NEGATIVE),
}

MEASUREMENTS = pa.DataFrameSchema(
    {
        "side": text("which side measured: sem, tem or cryo", pa.Check.isin(["sem", "tem", "cryo"])),
        "key": text("cell, section or tomogram"),
        "unit": text("the independent cell; empty: the key stands for it"),
        "block": text("resin block or field; empty where not recorded"),
        "modality": text("how it was imaged"),
        "characteristic": text(_CHARACTERISTIC),
        "value": number("the measured value; empty where it could not be measured"),
        "sd": number("its standard deviation by the measurement itself; empty where not known"),
        "unit_of_measure": text(_UNIT),
        "assessable": flag("whether the image can show it at all"),
        "reason": text("why not, if not"),
        "n_support": count(
            "voxels or pixels that the value rests on; of sections, cell area in (10 nm)²", _NOT_NEGATIVE
        ),
    },
    checks=pa.Check(
        lambda rows: rows["assessable"] | (rows["reason"] != ""), error="what is not assessable needs a reason"
    ),
    strict=True,
)

COMPARISON_TABLE = pa.DataFrameSchema(
    {
        "characteristic": text(_CHARACTERISTIC, unique=True),
        "family": text(_FAMILY),
        "unit": text(_UNIT),
        "scale": text(
            "difference of means, ratio of means, distance (excess over real against real), or order (never judged)",
            pa.Check.isin(["difference", "ratio", "distance", "order"]),
        ),
        "exploratory": flag(_EXPLORATORY),
        "model_side": text("what provides the model: sem, tem or pairs", pa.Check.isin(["sem", "tem", "pairs"])),
        "estimate_model": number(_MODEL),
        "estimate_reference": number(_REFERENCE),
        "sd_model": number("SD between the model's units"),
        "sd_reference": number("SD between the reference's units"),
        "n_model": count("independent units of the model's side", _NOT_NEGATIVE),
        "n_reference": count("independent units of the reference's side", _NOT_NEGATIVE),
        **_COUNTS,
        "measurement_sd": number("larger of both sides' SD of one measurement, on the scale of the tolerance"),
        "excess": number("of distances: model against real minus real against real"),
        "excess_se": number("its standard error, by a jackknife over tomograms"),
        "auc": number("of distances: probability that the model lies further from real than real does"),
        "cause": text("why there is nothing to compare, as one word; empty where there is"),
        "reason": text("the same in words"),
        "note": text("what was left out or rescaled"),
        "units_model": text("JSON: value by unit of the model's side"),
        "units_reference": text("JSON: value by unit of the reference's side"),
        "controls": text("JSON: the fakes that are valid here, and how they fare"),
    },
    strict=True,
)

VERDICTS = pa.DataFrameSchema(
    {
        "characteristic": text(_CHARACTERISTIC, unique=True),
        "family": text(_FAMILY),
        "unit": text(_UNIT),
        "estimate_model": number(_MODEL),
        "estimate_reference": number(_REFERENCE),
        "difference": number("model minus reference; of ratios, their natural logarithm; of distances, the excess"),
        "low": number("lower end of the interval, on the scale of the difference"),
        "high": number("upper end of the interval"),
        "level": number(
            "confidence level of the interval: for captured and approximated that of the two one-sided tests"
        ),
        "interval": text("the interval as printed; of ratios and of logarithms of sizes in per cent", _NOT_EMPTY),
        "margin": number("tolerance δ, on the scale of the difference"),
        "margin_reason": text("δ as printed, and why it is as large as it is"),
        "n": text("numbers of SEM cells, TEM cells and frozen-hydrated cells as printed"),
        **_COUNTS,
        "n_units": count("independent units of the scarcer side", _NOT_NEGATIVE),
        "power": number("probability to show equivalence within δ if nothing differed"),
        "quality": number("(D_fake - D_model)/(D_fake - D_real) of distances: a description, never a gate"),
        "control": text("the fake that is hardest to tell apart among those valid here"),
        "control_result": text("whether it failed the same test"),
        "verdict": text(
            "captured, approximated, missed, inconclusive or not assessable",
            pa.Check.isin(["captured", "approximated", "missed", "inconclusive", "not assessable"]),
        ),
        "reason": text("what decided", _NOT_EMPTY),
        "limiting_cause": text("what bounds the answer"),
        "would_change": text("what would change it"),
        "sentence_en": text("the verdict in one plain sentence", _NOT_EMPTY),
        "sentence_ko": text("the same in Korean", _NOT_EMPTY),
        "exploratory": flag(_EXPLORATORY),
        "simulated": flag("whether any file of the study was simulated"),
        "input_versions": text("data version of the comparison table that was judged"),
    },
    strict=True,
)

LIMITATIONS = pa.DataFrameSchema(
    {
        "bound": text("what bounds the answer", _NOT_EMPTY),
        "concerns": text("the characteristics it concerns"),
        "quantity": text("by what it is measured"),
        "value": number("how much it is in this study"),
        "unit": text("unit of the value; empty for pure numbers"),
        "derived_from": text("formula or source"),
        "meaning": text("what follows for a reader"),
        "would_move_it": text("the acquisition that would move it"),
        "value_then": number("how much it would be then; empty where it cannot be said"),
    },
    strict=True,
)

LIMITATION_COLUMNS: Final = tuple(LIMITATIONS.columns)

RESTS_ON = pa.DataFrameSchema(
    {
        "characteristic": text(_CHARACTERISTIC),
        "side": text("model or reference; pairs serve both", pa.Check.isin(["model", "reference", "both"])),
        "asset": text(
            "asset that measured, volume or mesh that it measured on, or `raw file of` the asset that read it",
            _NOT_EMPTY,
        ),
        "key": text("its key; empty for assets without partitions"),
        "data_version": text("digest of what was read", _NOT_EMPTY),
    },
    strict=True,
)

VIRTUAL_TEM = pa.DataFrameSchema(
    {
        "quantity": text(
            "wall_width (from the first to the second rise of density), wall_level (0 as outside, 1 as inside) or "
            "layers_in_order (share of units that show outside, wall and inside in this order)",
            _NOT_EMPTY,
        ),
        "unit": text(_UNIT),
        "compared": text(
            "what of the tomograms is compared with TEM sections: virtual section (projected like these), random "
            "planes (walls as these would have cut them), and the controls single plane and permuted depth"
        ),
        "scale": text("of the difference: ln ratio, or difference", pa.Check.isin(["ln ratio", "difference"])),
        "control": flag("whether the row is a control: not projected, or depths in random order"),
        "estimate_tem": number("mean over units of TEM sections"),
        "estimate_cryo": number("mean over frozen-hydrated cells"),
        "n_tem": count("resin blocks, or cells where there are fewer than four blocks", _NOT_NEGATIVE),
        "n_cryo": count("independent frozen-hydrated cells", _NOT_NEGATIVE),
        "difference": number("TEM minus frozen-hydrated, on the scale given"),
        "low": number("lower end of its 95 % interval; empty with fewer than four units a side"),
        "high": number("upper end"),
        "sentence": text("the row in one plain sentence", _NOT_EMPTY),
    },
    strict=True,
)
