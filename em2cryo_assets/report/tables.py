"""Tables as rows of words, ready for the template.

Belongs here: numbers to text, order of rows, what is said where a value is missing. Does not belong
here: markup.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
from markupsafe import Markup

from em2cryo_assets.report.charts import depth_chart, fractions_chart, interval_chart, number
from em2cryo_assets.report.words import (
    ATLAS_COLUMNS,
    ATLAS_WORDS,
    DISTANCES,
    LABEL_WORDS,
    LOGARITHMS,
    RATIOS,
    VERDICTS,
    Bilingual,
    characteristic_name,
)

__all__ = [
    "AtlasTable",
    "CalibrationRow",
    "VerdictRow",
    "atlas",
    "bounds",
    "calibration",
    "measurement_rows",
    "tally",
    "verdict_rows",
    "virtual",
]

_FACTS = (
    ("estimate_model", Bilingual("model", "모델")),
    ("estimate_reference", Bilingual("reference", "기준")),
    ("difference", Bilingual("difference", "차이")),
    ("interval", Bilingual("interval", "구간")),
    ("margin", Bilingual("margin δ", "허용 한계 δ")),
    ("margin_reason", Bilingual("why this margin", "한계의 근거")),
    ("n", Bilingual("n", "표본 수")),
    ("control", Bilingual("control", "대조군")),
    ("control_result", Bilingual("control's result", "대조군 결과")),
    ("limiting_cause", Bilingual("limited by", "제한 요인")),
    ("would_change", Bilingual("what would change it", "판정을 바꿀 수 있는 것")),
    ("reason", Bilingual("reason", "이유")),
    ("input_versions", Bilingual("versions of the inputs", "입력 버전")),
)


class VerdictRow(NamedTuple):
    """One verdict as the page shows it."""

    characteristic: str
    name: Bilingual
    verdict: str
    verdict_words: Bilingual
    sentence: Bilingual
    chart: Markup
    no_chart: str
    n: str
    facts: tuple[tuple[Bilingual, str], ...]
    exploratory: bool


class CalibrationRow(NamedTuple):
    """How one characteristic fared in simulated studies: *captured* of all, by what was true; coverage."""

    name: Bilingual
    captured: tuple[tuple[str, str, str], ...]
    coverage: str


class AtlasTable(NamedTuple):
    """One table of the atlas: a plot where there is one, and the numbers."""

    name: Bilingual
    chart: Markup
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_off: int


def verdict_rows(verdicts: pd.DataFrame) -> tuple[VerdictRow, ...]:
    """Rows of the verdict table by verdict, best first, in the table's order; exploratory ones last.

    Parameters
    ----------
    verdicts : pandas.DataFrame
        See `ReportData.verdicts`.

    Returns
    -------
    tuple of VerdictRow
    """
    rows = [_verdict_row(row) for row in verdicts.to_dict("records")]
    order = list(VERDICTS)
    return tuple(sorted(rows, key=lambda row: (row.exploratory, order.index(row.verdict))))


def calibration(rates: pd.DataFrame) -> tuple[CalibrationRow, ...]:
    """Rows of the calibration: a cell for no difference, half the tolerance, the tolerance, and the fakes.

    Parameters
    ----------
    rates : pandas.DataFrame
        See `ReportData.calibration`.

    Returns
    -------
    tuple of CalibrationRow
        Each cell with its text, the name of the fake that came nearest, and whether what was asked is kept
        ("yes", "no", "undecided", or empty where nothing is asked).
    """
    if not len(rates):
        return ()
    out = []
    for name, group in rates.groupby("characteristic", sort=False):
        if (group["n_not_assessable"] == group["studies"]).all():
            continue
        cells = []
        for answer in ("no difference", "half the tolerance", "the tolerance", "a fake"):
            rows = group[group["answer"] == answer]
            if not len(rows):
                cells.append(("", "", ""))
                continue
            hardest = max(rows.to_dict("records"), key=lambda row: row["n_captured"] / row["studies"])
            fake = str(hardest["fake"]).replace("_", " ")
            cells.append((f"{int(hardest['n_captured'])} / {int(hardest['studies'])}", fake, str(hardest["kept"])))
        same = group[group["answer"] == "no difference"]
        held = float(same["coverage"].iloc[0]) if len(same) else math.nan
        coverage = f"{held:.0%}" if math.isfinite(held) else ""
        out.append(CalibrationRow(characteristic_name(str(name)), tuple(cells), coverage))
    return tuple(out)


def bounds(table: pd.DataFrame) -> tuple[tuple[str, str, str, str, str, str], ...]:
    """Rows of what bounds the answers: bound, what it concerns, quantity with value, meaning, way out, value then.

    Parameters
    ----------
    table : pandas.DataFrame
        See `ReportData.bounds`.

    Returns
    -------
    tuple of tuple of str
    """
    out = []
    for row in table.to_dict("records"):
        unit = _text(row["unit"])
        value, then = (f"{number(row[name], 3)} {unit}".strip() if _is_float(row[name]) else "" for name in _VALUES)
        concerns = ", ".join(characteristic_name(name).en for name in str(row["concerns"]).split(", "))
        measured = f"{row['quantity']}: {value}" if value else str(row["quantity"])
        out.append((str(row["bound"]), concerns, measured, str(row["meaning"]), str(row["would_move_it"]), then))
    return tuple(out)


_VIRTUAL: Mapping[str, Bilingual] = {
    "wall_width": Bilingual("width of the wall as cut", "잘린 대로의 세포벽 폭"),
    "wall_level": Bilingual("level of the wall between outside and inside", "바깥과 안쪽 사이 세포벽의 밀도 수준"),
    "layers_in_order": Bilingual("layers in order, share of units", "층 순서가 맞는 단위의 비율"),
}


def virtual(table: pd.DataFrame) -> tuple[tuple[Bilingual, str, bool, str, str, str], ...]:
    """Rows of virtual TEM: quantity, what of the tomogram, whether a control, both sides with units, difference.

    Parameters
    ----------
    table : pandas.DataFrame
        See `ReportData.virtual`.

    Returns
    -------
    tuple of tuple
    """
    out = []
    for row in table.to_dict("records"):
        unit = _text(row["unit"])
        sides = [
            f"{number(row[f'estimate_{side}'], 3)} {unit}".strip() + f" (n = {int(row[f'n_{side}'])})"
            if _is_float(row[f"estimate_{side}"]) else f"n = {int(row[f'n_{side}'])}"
            for side in ("tem", "cryo")
        ]  # fmt: skip
        difference = ""
        if _is_float(row["low"]) and row["scale"] == "ln ratio":
            ends = [math.expm1(float(row[end])) for end in ("difference", "low", "high")]
            difference = "{:+.0%} ({:+.0%} to {:+.0%})".format(*ends)
        elif _is_float(row["low"]):
            difference = "{:+.2f} ({:+.2f} to {:+.2f})".format(*(float(row[e]) for e in ("difference", "low", "high")))
        kind, control = str(row["compared"]), bool(row["control"])
        difference = difference.replace("-", "−")
        out.append((_VIRTUAL[str(row["quantity"])], kind, control, sides[0], sides[1], difference))
    return tuple(out)


_VALUES = ("value", "value_then")


def _verdict_row(row: Mapping[Any, Any]) -> VerdictRow:
    verdict = _text(row.get("verdict"))
    unit = _text(row.get("unit"))
    facts = []
    for column, name in _FACTS:
        value = row.get(column)
        text = number(value) if _is_float(value) else _text(value)
        if column in ("estimate_model", "estimate_reference", "difference", "margin"):
            text = _with_unit(_text(row.get("characteristic")), column, value, unit)
        if text and text != "–":
            facts.append((name, text))
    # The interval's chart is markup of our own, made of numbers; every word in it is escaped there.
    chart = Markup(interval_chart(row))
    return VerdictRow(
        characteristic=_text(row.get("characteristic")),
        name=characteristic_name(_text(row.get("characteristic"))),
        verdict=verdict if verdict in VERDICTS else "inconclusive",
        verdict_words=VERDICTS.get(verdict, Bilingual(verdict, "")),
        sentence=Bilingual(_text(row.get("sentence_en")) or _text(row.get("reason")), _text(row.get("sentence_ko"))),
        chart=chart,
        no_chart="" if chart else (_text(row.get("interval")) or "no interval"),
        n=_text(row.get("n")),
        facts=tuple(facts),
        exploratory=row.get("exploratory") is True or str(row.get("exploratory")) == "True",
    )


def _with_unit(characteristic: str, column: str, value: Any, unit: str) -> str:
    """A value of the verdict table with the unit that its column has: differences of ratios and logs are in per cent."""
    text = number(value)
    if not _is_float(value):
        return _text(value)
    sign = "±" if column == "margin" else "+" if float(value) > 0 else ""
    per_cent = f"{sign}{number(100 * math.expm1(float(value)))} %"
    if column in ("difference", "margin") and characteristic in RATIOS:
        return per_cent
    if characteristic in LOGARITHMS:
        size = f"{number(math.exp(float(value)))} {unit.removeprefix('ln ')}"
        return f"{text} {unit} (= {size if column.startswith('estimate') else per_cent})"
    return f"{text} {unit}".rstrip()


def tally(verdicts: pd.DataFrame) -> tuple[tuple[str, Bilingual, int], ...]:
    """Count the verdicts that are not exploratory.

    Parameters
    ----------
    verdicts : pandas.DataFrame
        See `ReportData.verdicts`.

    Returns
    -------
    tuple of (str, Bilingual, int)
        Every kind of verdict in the order of `words.VERDICTS`, also those that did not occur.
    """
    rows = [row for row in verdict_rows(verdicts) if not row.exploratory]
    return tuple((name, word, sum(row.verdict == name for row in rows)) for name, word in VERDICTS.items())


def measurement_rows(table: pd.DataFrame) -> tuple[tuple[Bilingual, str, str], ...]:
    """Rows of a measurement table: name, value with unit, and why where there is none.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns `characteristic`, `value`, `sd`, `unit_of_measure`, `assessable`, `reason`.

    Returns
    -------
    tuple of (Bilingual, str, str)
        Name; value; reason, empty where the value is assessable.
    """
    rows = []
    for row in table.to_dict("records"):
        characteristic = _text(row.get("characteristic"))
        value: Any = row.get("value")
        sd: Any = row.get("sd")
        text = number(value, 4)
        if _is_float(value):
            if _is_float(sd) and float(sd) > 0:
                text += f" ± {number(sd, 2)}"
            text += f" {_text(row.get('unit_of_measure'))}".rstrip()
            if characteristic == "log_volume":
                text += f" (= {number(math.exp(float(value)))} µm³)"
            if characteristic == "log_wall_radius":
                text += f" (= {number(math.exp(float(value)))} nm)"
        assessable = str(row.get("assessable", True)) == "True"
        if assessable and not _is_float(value) and characteristic in DISTANCES:
            text = "a profile: compared in the pairs"
        rows.append((characteristic_name(characteristic), text, "" if assessable else _text(row.get("reason"))))
    return tuple(rows)


def atlas(tables: Mapping[str, pd.DataFrame], *, most: int = 40) -> tuple[AtlasTable, ...]:
    """Tables of the atlas, those with a plot first.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        See `ReportData.atlas`.
    most : int
        Rows shown of each; how many are left off is said.

    Returns
    -------
    tuple of AtlasTable
    """
    charts = {"fractions": fractions_chart, "depth": depth_chart}
    first = ("fractions", "depth", "wall")
    order = sorted(tables, key=lambda name: first.index(name) if name in first else len(first))
    out = []
    for name in order:
        table = tables[name]
        chart = Markup(charts[name](table)) if name in charts and len(table) else Markup("")
        if len(table) == 1:  # one thing with many numbers reads better downwards
            names = [_column_words(column) for column in table.columns]
            table = pd.DataFrame({"": names, "value": list(table.iloc[0])})
        elif "label" in table.columns:
            table = table.assign(label=[LABEL_WORDS[x].en if x in LABEL_WORDS else x for x in table["label"]])
        rows = tuple(
            tuple(number(value) if _is_float(value) else _text(value) for value in record)
            for record in table.head(most).itertuples(index=False, name=None)
        )
        columns = tuple(map(_column_words, table.columns))
        out.append(
            AtlasTable(
                ATLAS_WORDS.get(name, Bilingual(name.replace("_", " "), "")),
                chart,
                columns,
                rows,
                max(0, len(table) - most),
            )
        )
    return tuple(out)


def _column_words(column: Any) -> str:
    return ATLAS_COLUMNS.get(str(column), str(column).replace("_", " "))


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA:
        return ""
    return str(value).strip()


def _is_float(value: Any) -> bool:
    """Tell a finite number from words; a string of digits (a digest, an n) is words."""
    if isinstance(value, str | bool) or value is None:
        return False
    return number(value) != "–"
