"""What EMPIAR says of an entry.

Belongs here: the fields that are used, read tolerantly (numbers come as numbers, text or null), and an error that names
the field where the schema is no longer the one known. Does not belong here: asking for it (`client`), or which files are
wanted (`choose`).

Nothing here knows any particular entry.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.archives.item import ArchiveEntry

__all__ = ["Entry", "ImageSet", "parse_entries", "parse_entry"]

_WITHDRAWN: Final = ("OBS", "WDRN", "OBSOLETED", "WITHDRAWN")
_CHANGED: Final = "the archive may have changed its format: report it, with this line."


@dataclass(frozen=True)
class ImageSet:
    """One image set of an entry.

    Parameters
    ----------
    name, category, data_format, details : str
        As deposited; empty if not said.
    directory : str
        Its folder below that of the entry, without slashes at the ends; empty if not said.
    pixel_nm : tuple of float or None
        Pixel width and height, nm.
    image_px : tuple of int or None
        Image width and height, px.
    """

    name: str = ""
    category: str = ""
    data_format: str = ""
    details: str = ""
    directory: str = ""
    pixel_nm: tuple[float, float] | None = None
    image_px: tuple[int, int] | None = None


@dataclass(frozen=True)
class Entry(ArchiveEntry):
    """One entry.

    Its status is ``REL`` if it is released; its date that of the last update, else of the release or deposition.

    Parameters
    ----------
    experiment_type : str
        As deposited; empty if not said.
    imagesets : tuple of ImageSet
        What it holds.
    citation : str
        First publication, in one line; empty if there is none.
    licence : str
        Empty if not said.
    doi : str
        Of the entry itself; empty if not said.
    """

    experiment_type: str = ""
    imagesets: tuple[ImageSet, ...] = ()
    citation: str = ""
    licence: str = ""
    doi: str = ""


def parse_entry(entry: str, answer: Any) -> Entry:
    """Read the answer about one entry.

    Parameters
    ----------
    entry : str
        Accession.
    answer : Any
        Decoded JSON: a dict with the accession as key.

    Raises
    ------
    InputError
        Naming the field that is missing or of another kind than known.
    """
    if not isinstance(answer, dict) or entry not in answer:
        raise InputError(entry, f"the answer of the archive has no {entry!r}.", _CHANGED)
    fields = _Fields(entry, "", _dict(entry, entry, answer[entry]))
    if "imagesets" not in fields.given:
        raise InputError(entry, "the field 'imagesets' is missing.", _CHANGED)
    status = fields.text("status").upper()
    dates = [fields.text(name) for name in ("update_date", "release_date", "deposition_date")]
    return Entry(
        id=entry,
        title=fields.text("title"),
        status=status,
        update_date=next(filter(None, dates), ""),
        withdrawn=status in _WITHDRAWN or bool(fields.text("obsolete_date")),
        experiment_type=fields.text("experiment_type"),
        dataset_size=fields.text("dataset_size"),
        imagesets=tuple(_imageset(one) for one in fields.each("imagesets")),
        citation=next((text for one in fields.each("citation") if (text := _citation(one))), ""),
        licence=fields.text("licence") or fields.text("license"),
        doi=fields.text("entry_doi").removeprefix("doi:"),
    )


def parse_entries(answer: Any) -> tuple[dict[str, Entry], list[str]]:
    """Read the answer about many; one that cannot be read is told and stops no other.

    Returns
    -------
    entries : dict of str to Entry
        By accession.
    problems : list of str
        A sentence for each that could not be read.
    """
    if not isinstance(answer, dict):
        raise InputError("EMPIAR", f"the answer about many entries is {_kind(answer)}, not an object.", _CHANGED)
    entries: dict[str, Entry] = {}
    problems: list[str] = []
    for name in answer:
        try:
            entries[name] = parse_entry(name, answer)
        except InputError as error:
            problems.append(str(error))
    return entries, problems


class _Fields:
    """The fields of one JSON object, which knows its place in the answer."""

    def __init__(self, entry: str, place: str, given: Mapping[str, Any]) -> None:
        self.entry = entry
        self.place = place
        self.given = given

    def text(self, name: str) -> str:
        value = self.given.get(name)
        if value is None:
            return ""
        if isinstance(value, bool | dict | list):
            raise self.unexpected(name, value, "text")
        # Shown on terminals and written as UTF-8: no control characters, no halves of surrogate pairs.
        return "".join(one if one.isprintable() else " " for one in str(value)).strip()

    def number(self, name: str) -> float | None:
        """A positive number; None for null, an empty text, zero, or what is no number of anything."""
        value = self.given.get(name)
        if isinstance(value, bool | dict | list):
            raise self.unexpected(name, value, "a number")
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            if value is None or not str(value).strip() or str(value).strip().lower() in ("null", "none", "n/a"):
                return None
            raise self.unexpected(name, value, "a number") from None
        return number if math.isfinite(number) and number > 0 else None

    def each(self, name: str) -> list["_Fields"]:
        value = self.given.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.unexpected(name, value, "a list")
        return [
            _Fields(self.entry, f"{self.place}{name}[{n}].", _dict(self.entry, f"{self.place}{name}[{n}]", one))
            for n, one in enumerate(value)
        ]

    def unexpected(self, name: str, value: Any, wanted: str) -> InputError:
        return InputError(self.entry, f"the field '{self.place}{name}' is {_kind(value)}, not {wanted}.", _CHANGED)


def _imageset(fields: _Fields) -> ImageSet:
    pixel = (fields.number("pixel_width"), fields.number("pixel_height"))
    image = (fields.number("image_width"), fields.number("image_height"))
    return ImageSet(
        name=fields.text("name"),
        category=fields.text("category"),
        data_format=fields.text("data_format"),
        details=fields.text("details"),
        directory=fields.text("directory").strip("/"),
        pixel_nm=None if pixel[0] is None or pixel[1] is None else (pixel[0] / 10, pixel[1] / 10),
        image_px=None if image[0] is None or image[1] is None else (int(image[0]), int(image[1])),
    )


def _citation(fields: _Fields) -> str:
    authors = [one.text("name") for one in fields.each("authors")]
    who = authors[0] + (" et al." if len(authors) > 1 else "") if authors else ""
    parts = (who, fields.text("title"), fields.text("journal"), fields.text("year"))
    doi = fields.text("doi")
    return ", ".join(filter(None, (*parts, f"doi {doi}" if doi else "")))


def _dict(entry: str, place: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(entry, f"the field '{place}' is {_kind(value)}, not an object.", _CHANGED)
    return value


def _kind(value: Any) -> str:
    shown = repr(value)
    return f"{type(value).__name__} {shown if len(shown) <= 40 else shown[:40] + '…'}"
