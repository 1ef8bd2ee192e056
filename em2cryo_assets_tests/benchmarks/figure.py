"""What a benchmark prints: one JSON line a figure."""

import json
from dataclasses import asdict, dataclass

__all__ = ["Figure"]


@dataclass(frozen=True)
class Figure:
    """One measured figure beside what it should be.

    Parameters
    ----------
    bench : str
        What was measured.
    value : float
        The measurement.
    unit : str
        Its unit.
    target : str
        The figure to reach, with its direction, such as ``<= 180``.
    ok : bool
        Whether it was reached.
    peer : float or None
        The same measured on the peer in the same run.
    """

    bench: str
    value: float
    unit: str
    target: str
    ok: bool
    peer: float | None = None

    @classmethod
    def at_most(cls, bench: str, value: float, unit: str, limit: float, peer: float | None = None) -> "Figure":
        """A figure that must not exceed its limit."""
        return cls(bench, round(value, 4), unit, f"<= {limit:g}", value <= limit, peer)

    @classmethod
    def at_least(cls, bench: str, value: float, unit: str, limit: float, peer: float | None = None) -> "Figure":
        """A figure that must reach its limit."""
        return cls(bench, round(value, 4), unit, f">= {limit:g}", value >= limit, peer)

    def line(self) -> str:
        """The figure as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)
