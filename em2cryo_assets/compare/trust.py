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
    fakes = rows[rows["answer"] == A_FAKE]
    worst = max(fakes.to_dict("records"), key=lambda row: row["n_captured"] / row["studies"], default=None)
    told = [
        (_share(rows, NO_DIFFERENCE), "called captured in {} where nothing differed", "차이가 없을 때 {}"),
        (_share(rows, WHOLE), "in {} where the difference was the tolerance itself", "차이가 허용 한계와 같을 때 {}"),
        (
            None if worst is None else (int(worst["n_captured"]), int(worst["studies"])),
            "in {} for the fake that came nearest",
            "가장 비슷한 가짜의 경우 {}",
        ),
    ]
    english = [words.format(f"{share[0]} of {share[1]}") for share, words, _ in told if share]
    korean = [words.format(f"{share[1]}건 중 {share[0]}건") for share, _, words in told if share]
    return Sentence(
        f"In simulated studies of this size it was {', '.join(english)}.",
        f"이 규모의 모의 연구에서 “재현됨”으로 판정된 비율: {', '.join(korean)}.",
    )


def _share(rows: pd.DataFrame, answer: str) -> tuple[int, int] | None:
    """Studies called captured, and all, of an answer that was tried."""
    chosen = rows[rows["answer"] == answer]
    return (int(chosen["n_captured"].sum()), int(chosen["studies"].sum())) if len(chosen) else None
