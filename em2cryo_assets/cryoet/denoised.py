"""Telling from a name or a header that a denoiser, a deconvolution or a wedge-filling network touched a volume.

Belongs here: the words that programs and people leave. Does not belong here: what follows from it (texture is left out,
see `compare`), or the sidecar's own word, which counts more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["denoised_word"]

_WORDS: Final = re.compile(
    r"(?<![a-z])("
    r"denois(?:e|ed|ing)?|deconv(?:olved|olution)?|iso[-_]?net2?|cryo[-_]?care|topaz|noise2noise|n2n|n2v"
    r"|deep[-_]?de[-_]?wedge|ddw|missing[-_ ]wedge[-_ ]fill(?:ed|ing)?"
    r")(?![a-z])",
    re.IGNORECASE,
)
_NOT: Final = re.compile(r"(?:not|un|non|no|before|without)[-_ ]*$", re.IGNORECASE)


def denoised_word(texts: Iterable[str]) -> str | None:
    """First word in some texts that tells of a denoised or filled-in volume; None if there is none.

    Parameters
    ----------
    texts : iterable of str
        File name, then the lines of the header.
    """
    for text in texts:
        for match in _WORDS.finditer(text):
            if not _NOT.search(text[: match.start()]):
                return match.group()
    return None
