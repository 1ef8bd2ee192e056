"""Turns of phrase that errors, plans and findings share.

Belongs here: words made of any list. Does not belong here: what is said (it stands where it is known).
"""

from collections.abc import Sequence

__all__ = ["first_of"]


def first_of(names: Sequence[str], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
