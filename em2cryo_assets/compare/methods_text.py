"""The paragraph on methods for a paper, made of what this study did.

Belongs here: which sentences of ``methods_text.toml`` hold, and the study's numbers in them. Does not belong here: the
numbers, or general explanations (`report/text.toml`).
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files

import pandas as pd

from em2cryo_assets.compare.margins import MARGINS
from em2cryo_assets.compare.sentences import Sentence
from em2cryo_assets.vocabulary import VERDICT_NAMES

__all__ = ["MethodsFacts", "methods_paragraph"]


@dataclass(frozen=True)
class MethodsFacts:
    """What a reader must know to repeat the study.

    Parameters
    ----------
    version : str
        Of the package.
    simulated : bool
        Whether files of the study are simulated.
    seed : int
        Of the study.
    segmenter : str
        What outlined the cells.
    surfaces : sequence of str
        Methods of the surface; sorted, without repeats.
    imposed : sequence of str
        What they impose.
    pairs, pairs_per_tomogram : int
        Pairs compared; most of one tomogram.
    calibration_studies : int
        Simulated studies for each known answer; 0: not tried.
    assumed : int
        Artifacts in which something was assumed because it was not recorded.
    """

    version: str
    simulated: bool
    seed: int
    segmenter: str
    surfaces: Sequence[str]
    imposed: Sequence[str]
    pairs: int
    pairs_per_tomogram: int
    calibration_studies: int
    assumed: int


def methods_paragraph(verdicts: pd.DataFrame, facts: MethodsFacts) -> Sentence:
    """Write the paragraph.

    Parameters
    ----------
    verdicts : pandas.DataFrame
        `verdict_row.VERDICT_COLUMNS`.
    facts : MethodsFacts
        All else.

    Returns
    -------
    Sentence
        In English and Korean.
    """
    n = {name: int(verdicts[name].max()) if len(verdicts) else 0 for name in ("n_sem", "n_tem", "n_cryo")}
    judged = [name for name in verdicts["characteristic"] if name in MARGINS]
    wanted = {
        "simulated": facts.simulated,
        "built": True,
        "surfaces": n["n_sem"] > 0,
        "atlas": n["n_tem"] > 0,
        "pairs": facts.pairs > 0,
        "tests": bool(judged),
        "verdicts": len(verdicts) > 0,
        "calibration": facts.calibration_studies > 0,
        "assumed": facts.assumed > 0,
    }
    numbers = {
        **asdict(facts),
        **n,
        "margins": "; ".join(f"{name.replace('_', ' ')} {MARGINS[name].text}" for name in judged),
    }
    counts = {name: int((verdicts["verdict"] == name).sum()) for name in VERDICT_NAMES} if len(verdicts) else {}
    tally = {
        "en": ", ".join(f"{count} {name}" for name, count in counts.items() if count),
        "ko": ", ".join(f"{VERDICT_NAMES[name]} {count}" for name, count in counts.items() if count),
    }
    texts = tomllib.loads(files("em2cryo_assets.compare").joinpath("methods_text.toml").read_text(encoding="utf-8"))
    return Sentence(
        *(_paragraph(texts[lang], wanted, {**numbers, "tally": tally[lang]}, facts) for lang in ("en", "ko"))
    )


def _paragraph(
    words: Mapping[str, str], wanted: Mapping[str, bool], numbers: Mapping[str, object], facts: MethodsFacts
) -> str:
    lists = {name: ", ".join(getattr(facts, name)) or words["nothing"] for name in ("surfaces", "imposed")}
    return " ".join(words[part].format_map({**numbers, **lists}) for part, said in wanted.items() if said)
