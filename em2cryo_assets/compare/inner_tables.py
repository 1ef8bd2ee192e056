"""Declared schemas of tables that the comparison hands from stage to stage.

Belongs here: columns, types and what each means, of pair vectors, wall edges and rates of the calibration. Does not
belong here: tables that are read by people first (`compare.tables`), or how any number comes about.
"""

import pandera.pandas as pa

from em2cryo_assets.store.columns import count, number, text

__all__ = ["EDGES", "PAIR_VECTORS", "RATES"]

PAIR_VECTORS = pa.DataFrameSchema(
    {
        "cell": text("pseudo-3D cell"),
        "tomogram": text("tomogram"),
        "unit_cell": text("independent cell on the model's side"),
        "unit_tomogram": text("independent cell on the frozen-hydrated side"),
        "variant": text("model, a fake (homogeneous, label_permuted, phase_randomised), or reference: the tomogram"),
        "characteristic": text("what is compared; the list of characteristics says what each is"),
        "bin": count("number of the bin of depth, density or frequency; 0 where there is one value"),
        "x": number("where the bin lies: depth in nm, density, or frequency; of contrast_order the labels shared"),
        "value": number("what was measured in the bin; of contrast_order Kendall's τ against the tomogram"),
        "weight": number("voxels behind it; of contrast_order the pairs of labels"),
    },
    strict=True,
)

EDGES = pa.DataFrameSchema(
    {
        "kind": text("TEM section, virtual section, random planes or single plane"),
        "key": text("section or tomogram"),
        "unit": text("the independent cell"),
        "block": text("resin block; empty where not recorded"),
        "thickness_nm": number("thickness that was projected, nm"),
        "width_nm": number("width of the wall as cut, compression by the knife undone, nm; empty where undefined"),
        "level": number("level of the wall: 0 as outside, 1 as inside; empty where undefined"),
        "in_order": number(
            "1 where the density rises at the wall and again behind it, else 0; empty where no wall shows"
        ),
        "permuted_in_order": number("the same with depths in random order, a control"),
        "reason": text("why something is undefined"),
    },
    strict=True,
)

RATES = pa.DataFrameSchema(
    {
        "characteristic": text("what is compared; the list of characteristics says what each is"),
        "answer": text(
            "what was true in the simulated studies: no difference, half the tolerance, the tolerance, a fake"
        ),
        "fake": text("which fake; empty where the answer is none"),
        "studies": count("simulated studies"),
        "n_captured": count("studies that said captured"),
        "n_approximated": count("studies that said approximated"),
        "n_missed": count("studies that said missed"),
        "n_inconclusive": count("studies that said inconclusive"),
        "n_not_assessable": count("studies that said not assessable"),
        "power": number("median power where nothing differed"),
        "asked": text("what the rate must be; empty where nothing is asked"),
        "rate": number("share of studies that said what is asked about"),
        "rate_low": number("lower end of its 95 % interval (Clopper and Pearson)"),
        "rate_high": number("upper end"),
        "kept": text("yes, no, or undecided where the interval holds the limit; empty where nothing is asked"),
        "coverage": number("share of 95 % intervals that held the truth"),
        "coverage_low": number("lower end of its 95 % interval"),
        "coverage_high": number("upper end"),
        "n_intervals": count("intervals that there were"),
    },
    strict=True,
)
