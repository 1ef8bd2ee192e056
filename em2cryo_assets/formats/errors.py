"""The error every unreadable or implausible input ends in.

Belongs here: one exception type that names the file, the problem and the remedy.
Does not belong here: failures of a computation on good input.
"""

from pathlib import Path

__all__ = ["InputError"]


class InputError(ValueError):
    """An input file that cannot be used, said in words its owner can act on.

    Parameters
    ----------
    file : pathlib.Path or str
        The file as its owner knows it; only the name is shown.
    problem : str
        What is wrong, with the numbers found.
    remedy : str
        What to write, replace or remove, and where.
    """

    def __init__(self, file: Path | str, problem: str, remedy: str) -> None:
        self.file = Path(file)
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{self.file.name}: {problem} Remedy: {remedy}")

    def __reduce__(self) -> tuple[type["InputError"], tuple[Path, str, str]]:
        """Survive the trip between processes with all three parts."""
        return (InputError, (self.file, self.problem, self.remedy))
