"""What a report is made of: pictures (`entries`), tables and words.

Belongs here: the types that `report.page.write_report` takes. Does not belong here: how anything is drawn, or
where anything was read from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from em2cryo_assets.report.entries import CellEntry, PairEntry, RawEntry, SectionEntry, TomogramEntry

__all__ = ["LeftOut", "ProvenanceRow", "ReportData", "TextBlock"]


@dataclass(frozen=True)
class TextBlock:
    """A paragraph in both languages of the report.

    Parameters
    ----------
    title_en, title_ko : str
        Heading; may be empty.
    text_en, text_ko : str
        Plain text, no markup. An empty Korean text shows the English one alone.
    """

    title_en: str
    text_en: str
    title_ko: str = ""
    text_ko: str = ""


@dataclass(frozen=True)
class ProvenanceRow:
    """Where one shown artifact came from.

    Parameters
    ----------
    asset, key, digest, run_id : str
        As in the store; `key` is empty for assets without partitions.
    """

    asset: str
    key: str
    digest: str
    run_id: str


@dataclass(frozen=True)
class LeftOut:
    """An input that is in the study and not in the tables, and why.

    Parameters
    ----------
    asset, key, reason : str
        What, which, and the reason in words.
    """

    asset: str
    key: str
    reason: str


@dataclass(frozen=True)
class ReportData:
    """Everything one report shows.

    Parameters
    ----------
    title : str
        The study's title.
    simulated : bool
        True puts the mark of simulation on the page and on every picture.
    verdicts : pandas.DataFrame
        One row a characteristic: `characteristic`, `family`, `unit`, `estimate_model`, `estimate_reference`,
        `difference`, `low`, `high`, `interval`, `margin`, `margin_reason`, `n`, `control`,
        `control_result`, `verdict`, `reason`, `limiting_cause`, `would_change`, `sentence_en`, `sentence_ko`,
        `exploratory`, `input_versions`. Only `characteristic` and `verdict` must be there.
    cells : tuple of CellEntry
        The first comparable one with a mesh, or the one named by the first pair, opens the page.
    tomograms, sections, pairs, raw : tuple
        In the order in which they are shown.
    rests_on : pandas.DataFrame
        `compare.tables.RESTS_ON`: the artifacts and raw files behind each verdict; may be empty.
    trust : mapping of str to TextBlock
        What the calibration says of a verdict, by characteristic; titles are not shown.
    calibration : pandas.DataFrame
        Rates of right and wrong verdicts in simulated studies (`compare.calibration.rates`); empty: not tried.
    bounds : pandas.DataFrame
        What bounds the answers (`compare.limits.limitations`); empty: nothing measured.
    virtual : pandas.DataFrame
        TEM sections beside tomograms projected like sections (`compare.virtual_tem`); empty: nothing measured.
    paragraph : TextBlock, optional
        Methods of this study for a paper; the title is not shown.
    atlas : mapping of str to pandas.DataFrame
        ``"fractions"`` (label, v_v, low, high, n_sections, n_units, n_needed), ``"wall"`` (mean_nm, …),
        ``"depth"`` (s_bin, label, p); other tables are shown as tables.
    provenance : tuple of ProvenanceRow
        One for each artifact read.
    methods, limits : tuple of TextBlock
        Empty: the standard text of `report.words`.
    left_out : tuple of LeftOut
        What is in the study and not in the tables.
    software : mapping of str to str
        Name to version, shown with the provenance.
    """

    title: str
    simulated: bool
    verdicts: pd.DataFrame
    cells: tuple[CellEntry, ...] = ()
    tomograms: tuple[TomogramEntry, ...] = ()
    sections: tuple[SectionEntry, ...] = ()
    pairs: tuple[PairEntry, ...] = ()
    raw: tuple[RawEntry, ...] = ()
    rests_on: pd.DataFrame = field(default_factory=pd.DataFrame)
    trust: Mapping[str, TextBlock] = field(default_factory=dict)
    calibration: pd.DataFrame = field(default_factory=pd.DataFrame)
    bounds: pd.DataFrame = field(default_factory=pd.DataFrame)
    virtual: pd.DataFrame = field(default_factory=pd.DataFrame)
    paragraph: TextBlock | None = None
    atlas: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    provenance: tuple[ProvenanceRow, ...] = ()
    methods: tuple[TextBlock, ...] = ()
    limits: tuple[TextBlock, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    software: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.verdicts):
            absent = {"characteristic", "verdict"} - set(self.verdicts.columns)
            if absent:
                raise ValueError(f"The verdict table lacks the columns {', '.join(sorted(absent))}.")
