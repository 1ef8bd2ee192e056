"""What the words of an archive say of how a slab was made.

Belongs here: telling lamellae from sections in free text. Does not belong here: fields of a particular archive.
"""

import re
from collections.abc import Iterable

__all__ = ["modality_in"]


def modality_in(texts: Iterable[str]) -> str | None:
    """Modality of a slab in the words of a sidecar, by the first text that names exactly one."""
    for said in texts:
        found = set()
        if re.search(r"lamella|fib[ -]?mill|focused[ -]ion[ -]beam|cryo-?fib", said, re.I):
            found.add("lamella")
        if re.search(r"cryo-?(ultra-?thin )?section|vitreous[ -](ultra-?thin )?section|cemovis", said, re.I):
            found.add("cryo-section")
        if len(found) == 1:
            return found.pop()
    return None
