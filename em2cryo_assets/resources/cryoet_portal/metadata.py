"""What the CryoET Data Portal says of a dataset, by the portal's own client.

Belongs here: the questions, and the fields that are used, with an error where an answer is not as it was. Does not belong
here: files (`bucket`, `levels`), or what is wanted of them (`look`).

The client is an extra (``pip install 'em2cryo-assets[portal]'``) and is imported when something is asked.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.archives.http import Http, MissingError, PassingError
from em2cryo_assets.resources.archives.item import ArchiveEntry
from em2cryo_assets.resources.cryoet_portal.portal import BUCKET, Portal, Wanted

__all__ = ["Dataset", "PortalTomogram", "read_dataset"]

_PASSING: Final = (408, 429, 500, 502, 503, 504)

T = TypeVar("T")


@dataclass(frozen=True)
class PortalTomogram:
    """One tomogram as the portal describes it.

    Parameters
    ----------
    id : int
        Number of the tomogram; the portal says that it may change.
    run : str
        Name of its run.
    prefix : str
        Key of its OME-Zarr folder in the bucket, without a trailing slash.
    voxel_nm : float or None
        Voxel side of its finest level, nm.
    processing, method, software : str
        ``raw``, ``filtered`` or ``denoised``; how it was reconstructed, and by what.
    tilts_deg : tuple of float or None
        Nominal tilts of the run's series, degrees, where the portal gives their range and step.
    """

    id: int
    run: str
    prefix: str
    voxel_nm: float | None
    processing: str
    method: str = ""
    software: str = ""
    tilts_deg: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Dataset(ArchiveEntry):
    """One dataset; the portal has no status, so that it is ``REL`` if it has a date of release.

    Parameters
    ----------
    preparation : tuple of str
        What it says of sample and grid, in free text.
    sample_type : str
        ``cell``, ``organism``, ``in_silico``, …
    authors : str
        First author and how many follow.
    publications : str
        Their DOIs.
    tomograms : tuple of PortalTomogram
        Those that are wanted and that have an OME-Zarr folder.
    """

    preparation: tuple[str, ...] = ()
    sample_type: str = ""
    authors: str = ""
    publications: str = ""
    tomograms: tuple[PortalTomogram, ...] = field(default=(), repr=False)


def read_dataset(portal: Portal, http: Http, wanted: Wanted) -> Dataset:
    """Ask for a dataset, its runs, tomograms and tilt series.

    Parameters
    ----------
    portal : Portal
        Where.
    http : Http
        How patiently.
    wanted : Wanted
        Which dataset, or which run of it.

    Raises
    ------
    MissingError
        If there is no such dataset or run.
    ArchiveError
        If the portal cannot be asked now.
    InputError
        If its client is not installed, or the answer is not as it was.
    """
    client, models = _client(portal.graphql, math.ceil(portal.timeout_s))

    def find(model: str, *filters: Any) -> list[Any]:
        return _patiently(http, portal.graphql, lambda: getattr(models, model).find(client, list(filters)))

    found = find("Dataset", models.Dataset.id == wanted.dataset)
    if not found:
        raise MissingError(wanted.entry_id, "the portal has no such dataset.", "check the number.")
    runs = find("Run", models.Run.dataset_id == wanted.dataset)
    if wanted.run is not None:
        runs = [run for run in runs if run.name == wanted.run]
        if not runs:
            raise MissingError(wanted.run, f"{wanted.entry_id} has no run of this name.", "check the name.")
    names = {run.id: str(run.name) for run in runs}
    authors = find("DatasetAuthor", models.DatasetAuthor.dataset_id == wanted.dataset)
    series = find("TiltSeries", models.TiltSeries.run.dataset_id == wanted.dataset)
    tomograms = find("Tomogram", models.Tomogram.run.dataset_id == wanted.dataset)
    try:
        tilts = {one.run_id: _tilts(one.tilt_min, one.tilt_max, one.tilt_step) for one in series}
        made = [
            _tomogram(one, names[one.run_id], tilts.get(one.run_id))
            for one in tomograms
            if one.run_id in names and one.s3_omezarr_dir
        ]
        return _dataset(wanted, found[0], authors, made)
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(
            wanted.entry_id,
            f"the portal's answer is not as it was ({error}).",
            "update the client: pip install -U cryoet-data-portal; report it, with this line.",
        ) from error


def _dataset(wanted: Wanted, said: Any, authors: list[Any], tomograms: list[PortalTomogram]) -> Dataset:
    names = [one.name for one in sorted(authors, key=lambda one: one.author_list_order or 0) if one.name]
    dates = (said.last_modified_date, said.release_date, said.deposition_date)
    size = said.file_size
    return Dataset(
        id=wanted.entry_id,
        title=_text(said.title),
        status="REL" if said.release_date else "",
        update_date=next((date.date().isoformat() for date in dates if date), ""),
        dataset_size=f"{size / 1e9:.3g} GB" if size else "",
        preparation=tuple(_text(one) for one in (said.sample_preparation, said.grid_preparation, said.other_setup)),
        sample_type=_text(said.sample_type),
        authors=names[0] + (" et al." if len(names) > 1 else "") if names else "",
        publications=_text(said.dataset_publications),
        tomograms=tuple(sorted(tomograms, key=lambda one: one.prefix)),
    )


def _tomogram(said: Any, run: str, tilts: tuple[float, ...] | None) -> PortalTomogram:
    parts = urlsplit(str(said.s3_omezarr_dir))
    if parts.scheme != "s3" or parts.netloc != BUCKET or not parts.path.strip("/"):
        raise ValueError(f"s3_omezarr_dir is {said.s3_omezarr_dir!r}, not in s3://{BUCKET}")
    spacing = None if said.voxel_spacing is None else float(said.voxel_spacing)
    return PortalTomogram(
        id=int(said.id),
        run=run,
        prefix=parts.path.strip("/"),
        voxel_nm=spacing / 10 if spacing is not None and math.isfinite(spacing) and spacing > 0 else None,
        processing=_text(said.processing),
        method=_text(said.reconstruction_method),
        software=_text(said.reconstruction_software),
        tilts_deg=tilts,
    )


def _tilts(lowest: float | None, highest: float | None, step: float | None) -> tuple[float, ...] | None:
    """The nominal scheme; None where it is not given, or is none."""
    if lowest is None or highest is None or not step:
        return None
    number = (highest - lowest) / step
    if not 2 <= number <= 200 or max(abs(lowest), abs(highest)) > 90:
        return None
    return tuple(round(lowest + n * step, 3) for n in range(math.floor(number + 1e-6) + 1))


def _text(value: Any) -> str:
    # Shown on terminals and written as UTF-8: no control characters.
    return "" if value is None else "".join(one if one.isprintable() else " " for one in str(value)).strip()


@cache
def _client(url: str, silence_s: int) -> tuple[Any, Any]:
    """The portal's own client, and its module of models; kept, as it takes 0.25 s to read its schema."""
    try:
        import cryoet_data_portal as models
        from gql import Client as GraphQL
        from gql.transport.requests import RequestsHTTPTransport
    except ImportError as error:
        raise InputError(
            "CryoET Data Portal",
            f"its client is not installed ({error.name or error}).",
            "type: pip install 'em2cryo-assets[portal]'",
        ) from error

    class Client(models.Client):  # type: ignore[misc]
        """As theirs, but it never waits for ever, and is sent nowhere else."""

        def get_client(self) -> GraphQL:
            transport = RequestsHTTPTransport(url=self.url, timeout=silence_s, allow_redirects=False)
            return GraphQL(transport=transport, schema=self.schema)

    return Client(url), models


def _patiently(http: Http, url: str, ask: Callable[[], T]) -> T:
    """Ask with the patience of the other requests.

    Raises
    ------
    ArchiveError
        If it cannot be asked now.
    InputError
        If it is refused.
    """
    import requests
    from gql.transport.exceptions import TransportConnectionFailed, TransportError, TransportServerError

    def once() -> T:
        try:
            return ask()
        except (requests.exceptions.RequestException, TransportConnectionFailed) as error:
            raise PassingError(url, f"the connection failed ({type(error).__name__})") from error
        except TransportServerError as error:
            if error.code in _PASSING:
                raise PassingError(url, f"it answered {error.code}") from error
            raise _strange(error) from error
        except (TransportError, KeyError, TypeError, ValueError) as error:
            raise _strange(error) from error

    return http.patiently(once)


def _strange(error: Exception) -> InputError:
    said = str(error)
    return InputError(
        "CryoET Data Portal",
        f"it answered something unknown ({said if len(said) <= 200 else said[:200] + '…'}).",
        "update the client: pip install -U cryoet-data-portal; report it if that does not help.",
    )
