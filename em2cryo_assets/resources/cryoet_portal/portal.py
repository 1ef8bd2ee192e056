"""Where the CryoET Data Portal is reached, and how its datasets are named.

Belongs here: addresses and accessions. Does not belong here: asking anything (`metadata`, `archives.http`).

Metadata come from a GraphQL service by the portal's own client; files from a public S3 bucket (AWS registry of open data:
``cryoet-data-portal-public``, us-west-2, CC0), by plain HTTPS requests of the S3 protocol, without an account.
"""

import os
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.archives.server import Origin, Server, address_in, origin_of

__all__ = ["BUCKET", "Portal", "Wanted", "parse_wanted", "portal_at"]

BUCKET: Final = "cryoet-data-portal-public"

_GRAPHQL: Final = "https://graphql.cryoetdataportal.czscience.com/graphql"
_FILES: Final = f"https://{BUCKET}.s3.us-west-2.amazonaws.com"
_VARIABLE: Final = "EM2CRYO_PORTAL_URL"
_WANTED: Final = re.compile(r"(?:CZCDP-)?(\d{1,9})(?:/([^/\x00-\x1f]{1,200}))?", re.IGNORECASE)


@dataclass(frozen=True)
class Portal(Server):
    """One CryoET Data Portal: the real one or a stand-in.

    Parameters
    ----------
    graphql, files : str
        Addresses without a trailing slash: of the metadata service, and of the bucket.
    """

    graphql: str = _GRAPHQL
    files: str = _FILES

    @property
    def origins(self) -> frozenset[Origin]:
        """The two hosts that are named."""
        return frozenset((origin_of(self.graphql), origin_of(self.files)))

    @property
    def variable(self) -> str:
        """Names a stand-in."""
        return _VARIABLE

    def object_url(self, key: str) -> str:
        """Address of one object."""
        return f"{self.files}/{quote(key)}"

    def listing_url(self, prefix: str, after: str = "") -> str:
        """One page of the objects below a prefix; `after` is the token that the last page gave (ListObjectsV2)."""
        fields = {"list-type": "2", "prefix": prefix}
        return f"{self.files}/?{urlencode(fields | ({'continuation-token': after} if after else {}))}"


@dataclass(frozen=True)
class Wanted:
    """What a person asks for.

    Parameters
    ----------
    dataset : int
        Number of the dataset.
    run : str or None
        Name of one of its runs; None for all.
    """

    dataset: int
    run: str | None = None

    @property
    def entry_id(self) -> str:
        """Accession of the dataset, as the portal writes it."""
        return f"CZCDP-{self.dataset}"


def parse_wanted(text: str) -> Wanted:
    """Read ``10000``, ``CZCDP-10000`` or ``10000/TS_026``.

    Raises
    ------
    InputError
        If it is none of these.
    """
    match = _WANTED.fullmatch(text.strip())
    if match is None:
        raise InputError(
            text,
            "this is no dataset of the CryoET Data Portal, nor a run of one.",
            "write its number, like 10000, or the number and the name of a run, like 10000/TS_026.",
        )
    return Wanted(int(match.group(1)), match.group(2))


def portal_at(url: str = "") -> Portal:
    """The portal at an address; empty means what ``EM2CRYO_PORTAL_URL`` names, else the real one.

    A stand-in has the metadata under ``/graphql`` and the bucket under its name.

    Raises
    ------
    InputError
        If it is no http or https address.
    """
    url = address_in(os.environ, _VARIABLE, url)
    return Portal(graphql=f"{url}/graphql", files=f"{url}/{BUCKET}") if url else Portal()
