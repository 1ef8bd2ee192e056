"""What the calibration says about one verdict, in a sentence a reader can weigh it by.

Belongs here: rates turned into words. Does not belong here: rates (`calibration`) or verdicts.
"""

from collections.abc import Mapping

import pandas as pd

from em2cryo_assets.compare.known_answers import A_FAKE, NO_DIFFERENCE, WHOLE
from em2cryo_assets.compare.sentences import Sentence

__all__ = ["trust"]


def trust(rates: pd.DataFrame) -> Mapping[str, Sentence]:
    """Say for each characteristic how often *captured* was right in simulated studies of this size.

    Parameters
    ----------
    rates : pandas.DataFrame
        From `calibration.rates`.

    Returns
    -------
    mapping of str to Sentence
        By characteristic.
    """
    return {str(name): _sentence(group) for name, group in rates.groupby("characteristic", sort=False)}


def _sentence(rows: pd.DataFrame) -> Sentence:
    judged = rows[rows["n_not_assessable"] < rows["studies"]]
    if judged.empty:
        return Sentence(
            f"Not assessable in any of {int(rows['studies'].sum())} simulated studies of this size, whatever was true.",
            f"이 규모의 모의 연구 {int(rows['studies'].sum())}건 모두에서, 사실이 무엇이든 평가할 수 없었다.",
        )
    equal, off = (_share(rows, answer) for answer in (NO_DIFFERENCE, WHOLE))
    fakes = rows[rows["answer"] == A_FAKE]
    worst = max(fakes.to_dict("records"), key=lambda row: row["n_captured"] / row["studies"], default=None)
    english, korean = [], []
    if equal:
        english.append(f"called captured in {equal} where nothing differed")
        korean.append(f"차이가 없을 때 {equal}")
    if off:
        english.append(f"in {off} where the difference was the tolerance itself")
        korean.append(f"차이가 허용 한계와 같을 때 {off}")
    if worst is not None:
        share = _of(int(worst["n_captured"]), int(worst["studies"]))
        english.append(f"in {share} for the fake that came nearest")
        korean.append(f"가장 비슷한 가짜의 경우 {share}")
    return Sentence(
        f"In simulated studies of this size it was {', '.join(english)}.",
        f"이 규모의 모의 연구에서 포착으로 판정된 비율: {', '.join(korean)}.",
    )


def _share(rows: pd.DataFrame, answer: str) -> str:
    chosen = rows[rows["answer"] == answer]
    return _of(int(chosen["n_captured"].sum()), int(chosen["studies"].sum())) if len(chosen) else ""


def _of(hits: int, studies: int) -> str:
    return f"{hits} of {studies}"
