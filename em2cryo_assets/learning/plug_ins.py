"""Functions that other packages bring: what takes the place of a network of this project.

Belongs here: names and loading by entry points. Does not belong here: what such a function gets and returns, and the
check of it (`tem.section_labellers` and its like).
"""

from collections.abc import Callable, Collection
from importlib.metadata import entry_points
from typing import Any

__all__ = ["load_plug_in", "plug_in_names"]


def plug_in_names(group: str, built_in: Collection[str]) -> list[str]:
    """Names to choose from: those built in, then those of installed packages."""
    return [*built_in, *sorted({point.name for point in entry_points(group=group)} - set(built_in))]


def load_plug_in(group: str, name: str, built_in: Collection[str], what: str) -> tuple[str, Callable[..., Any]]:
    """Load a function by its name.

    Parameters
    ----------
    group : str
        Of entry points.
    name : str
        Of the entry point.
    built_in : collection of str
        Names of this project's own, for the message.
    what : str
        What the function is, such as "segmenter".

    Returns
    -------
    tuple of str and callable
        Where it is from (``module:function``), and the function.

    Raises
    ------
    ValueError
        If there is no such name, or two packages claim it.
    ImportError
        If it cannot be loaded, or is no function.
    """
    points = [point for point in entry_points(group=group) if point.name == name]
    if not points:
        known = ", ".join(plug_in_names(group, built_in))
        raise ValueError(f"There is no {what} {name!r}; there are {known}. Is the package that brings it installed?")
    if len({point.value for point in points}) > 1:
        values = ", ".join(sorted(point.value for point in points))
        raise ValueError(f"Several packages bring a {what} {name!r} ({values}); uninstall all but one.")
    try:
        found = points[0].load()
    except Exception as error:
        raise ImportError(
            f"The {what} {name!r} ({points[0].value}) cannot be loaded: {error}. Mend or uninstall its package."
        ) from error
    if not callable(found):
        raise ImportError(f"The {what} {name!r} ({points[0].value}) is no function; let the entry point name one.")
    return points[0].value, found
