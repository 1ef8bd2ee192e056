"""The CryoET Data Portal as one of the archives that tomograms are fetched from.

Belongs here: which tomograms of a dataset would come, and what `archives.fetch` asks of an archive. Does not belong here:
the order in which files come (`archives.fetch`), metadata (`metadata`), objects (`bucket`) or resolutions (`levels`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any, Final

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.partitions import slugify
from em2cryo_assets.resources.archives.download import Progress, Version
from em2cryo_assets.resources.archives.http import Http, MissingError
from em2cryo_assets.resources.archives.item import (
    ArchiveEntry,
    Companion,
    Item,
    Look,
    fits,
    known_keys,
    records_in,
    state_of,
)
from em2cryo_assets.resources.archives.keys import plain_key, unique_keys
from em2cryo_assets.resources.archives.modality import modality_in
from em2cryo_assets.resources.archives.record import FileRecord, LeftOut
from em2cryo_assets.resources.cryoet_portal.bucket import (
    RemoteObject,
    bring_objects,
    list_objects,
    mark_of,
    read_object,
)
from em2cryo_assets.resources.cryoet_portal.levels import Level, choose_level
from em2cryo_assets.resources.cryoet_portal.metadata import Dataset, PortalTomogram, read_dataset
from em2cryo_assets.resources.cryoet_portal.portal import Portal, Wanted
from em2cryo_assets.resources.study import Study

__all__ = ["PortalSource"]

LICENCE: Final = "CC0-1.0"
"""The portal's terms for all its data; no dataset has terms of its own."""

_ENDING: Final = ".ome.zarr"
_LARGEST_METADATA: Final = 4 * 2**20
_HALVES: Final = ("filtered_even", "filtered_odd")
_NOT_THERE: Final = "NOT FOUND"


@dataclass(frozen=True)
class _Volume:
    """What is needed to fetch one tomogram."""

    tomogram: PortalTomogram
    level: Level
    objects: tuple[RemoteObject, ...]


class PortalSource:
    """One dataset of the portal, or a run of it, as something to fetch; see `archives.item.Source`.

    Parameters
    ----------
    portal : Portal
        Where.
    wanted : Wanted
        Which dataset, or which run.
    http : Http, optional
        The connection, where a test brings its own.
    """

    records_folder = "cryoet_portal"

    def __init__(self, portal: Portal, wanted: Wanted, *, http: Http | None = None) -> None:
        self.portal = portal
        self.wanted = wanted
        self.http = http or Http(portal)

    def __enter__(self) -> "PortalSource":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.__exit__()

    @property
    def entry_id(self) -> str:
        """Accession of the dataset."""
        return self.wanted.entry_id

    def look(self, study: Study, only: str | None = None) -> Look:
        """What the dataset holds and what of it would come."""
        record = records_in(study, self).read(self.entry_id)
        if self.wanted.run is not None and only in (None, "*"):
            only = f"{escape(self.wanted.run)}/*"
        only = only if only is not None else (record.only if record is not None else "*")
        try:
            dataset = read_dataset(self.portal, self.http, self.wanted)
        except MissingError as error:
            if record is None or self.wanted.run is not None or "dataset" not in error.problem:
                raise
            return Look(ArchiveEntry(self.entry_id, record.title, _NOT_THERE, record.update_date, withdrawn=True), only)
        if dataset.sample_type in ("in_silico", "in-silico synthetic data"):
            raise InputError(
                self.entry_id,
                "its tomograms are simulated, and what comes from an archive is taken as real.",
                "download it by hand and add it, with simulated = true in the sidecars, to a study of simulated files.",
            )
        known = record.files if record is not None else {}
        paths = {self._path(one): one for one in dataset.tomograms}
        keys = self._keys(study, paths, known)
        items, left = list[Item](), list[LeftOut]()
        for path, one in paths.items():
            found = self._candidate(study, path, one, keys[path], known.get(path), only)
            if isinstance(found, Item):
                items.append(found)
            else:
                left.append(LeftOut(path, 1, found))
        gone = set(known) - set(paths) if self.wanted.run is None else set()
        return Look(dataset, only, tuple(items), tuple(left), tuple(sorted(gone)))

    def bring(self, item: Item, staged: Path, progress: Progress | None) -> Version:
        """Download the objects of one level, and write metadata that name it alone."""
        volume: _Volume = item.what
        return bring_objects(self.portal, self.http, volume.objects, volume.level.written, staged, progress)

    def bring_companion(self, companion: Companion, staged: Path) -> Version:
        """The portal has none beside a tomogram."""
        raise InputError(companion.path, "the portal has no such file.", "nothing to do.")

    def check(self, item: Item, part: Path) -> None:
        """Refuse a folder that lacks an object or holds one of another size."""
        volume: _Volume = item.what
        for one in volume.objects:
            here = part / one.path
            if not here.is_file() or here.stat().st_size != one.size:
                raise InputError(item.path, f"{one.path} in it did not arrive whole.", "ask again.")

    def sidecar(self, item: Item, entry: ArchiveEntry) -> dict[str, Any]:
        """Content of the sidecar: all tomograms of a run show one cell."""
        assert isinstance(entry, Dataset)
        volume: _Volume = item.what
        said = volume.tomogram
        made = f"{said.processing or 'processing not said'}, {said.method} by {said.software}".rstrip(" by")
        parts = (
            entry.title.rstrip("."),
            entry.authors,
            entry.publications,
            f"run {said.run}, tomogram {said.id}, {made}",
        )
        return {
            "source": self._source(item.path),
            "modality": modality_in((*entry.preparation, entry.title)),
            "voxel_size_nm": None if said.voxel_nm is None else round(said.voxel_nm * volume.level.binning, 6),
            "tilts_deg": said.tilts_deg,
            # A filter leaves its own texture, as a denoiser does.
            "denoised": {"raw": False, "filtered": True, "denoised": True}.get(said.processing),
            "cell": slugify(f"{entry.id}-{said.run}"),
            "licence": LICENCE,
            "notes": ". ".join(filter(None, (*parts, item.note))),
        }

    def _path(self, tomogram: PortalTomogram) -> str:
        """Path below the dataset, which begins with the run."""
        return tomogram.prefix.removeprefix(f"{self.wanted.dataset}/")

    def _source(self, path: str) -> str:
        return f"{self.entry_id} {path}"

    def _keys(
        self, study: Study, paths: Mapping[str, PortalTomogram], files: Mapping[str, FileRecord]
    ) -> dict[str, str]:
        record = records_in(study, self).read(self.entry_id) if files else None
        known, taken = known_keys(study, ((path, self._source(path)) for path in paths), record)
        prefix = f"portal-{self.wanted.dataset}"
        plain = {path: plain_key(prefix, path, f"{one.run}-{one.processing}") for path, one in paths.items()}
        return unique_keys(plain, known=known, taken=taken)

    def _candidate(
        self, study: Study, path: str, tomogram: PortalTomogram, key: str, file: FileRecord | None, only: str
    ) -> Item | str:
        """The item, or the reason why it is none."""
        if tomogram.processing in _HALVES:
            return "an even or odd half; halves are no tomograms of their own"
        if not fits(path, only):
            return f"not among {only!r}"
        try:
            level = choose_level(path, lambda inner: self._metadata(tomogram, inner), tomogram.voxel_nm)
            objects = list_objects(self.portal, self.http, f"{tomogram.prefix}/{level.path}")
        except MissingError:
            return "named by the portal, and not in its bucket"
        objects = [RemoteObject(one.key, f"{level.path}/{one.path}", one.size, one.etag) for one in objects]
        if not objects:
            return f"its level {level.path} is empty in the bucket"
        volume = _Volume(tomogram, level, tuple(objects))
        version = Version(sum(one.size for one in objects), mark_of(objects, level.written))
        if file is not None and file.state == "refused" and file.version == version:
            return file.problem
        name = key + _ENDING
        state = state_of(study, name, version, file)
        return Item(
            path,
            tomogram.prefix,
            key,
            name,
            version,
            level.shape,
            level.voxel_nm,
            state,
            note=_note(level),
            what=volume,
        )

    def _metadata(self, tomogram: PortalTomogram, inner: str) -> bytes:
        return read_object(self.portal, self.http, f"{tomogram.prefix}/{inner}", _LARGEST_METADATA)


def _note(level: Level) -> str:
    return f"resolution level {level.number} of 0 to {level.of - 1}" if level.of > 1 else ""
