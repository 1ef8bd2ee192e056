"""What ``em2cryo doctor`` has to say, one thing at a time.

Belongs here: the record of a finding. Does not belong here: looking (`resources.machine`, `resources.study_health`,
`automation.plan_health`) or printing (`cli_doctor`).
"""

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["Finding", "Mark", "note", "ok", "problem", "problem_from"]

Mark = Literal["ok", "note", "problem"]

_REMEDY: Final = " Remedy: "


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    mark : {"ok", "note", "problem"}
        Whether something is wrong: a note can stay as it is, a problem keeps the study from its end.
    about : str
        What was looked at, in a word or two.
    says : str
        How it is.
    remedy : str
        What to type or change; empty where there is nothing to do.
    """

    mark: Mark
    about: str
    says: str
    remedy: str = ""


def ok(about: str, says: str) -> Finding:
    """All is well."""
    return Finding("ok", about, says)


def note(about: str, says: str, remedy: str = "") -> Finding:
    """Worth knowing."""
    return Finding("note", about, says, remedy)


def problem(about: str, says: str, remedy: str) -> Finding:
    """Something is wrong; there is always a remedy."""
    return Finding("problem", about, says, remedy)


def problem_from(about: str, sentence: str, remedy: str) -> Finding:
    """A problem from the sentence of an error: the remedy it names itself comes before the one given here."""
    says, named, rest = sentence.partition(_REMEDY)
    return problem(about, says, f"{rest.rstrip('.')}; {remedy}" if named else remedy)
