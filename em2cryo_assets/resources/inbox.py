"""Raw files of a study: what lies in its inbox, under which key, and in which version.

Belongs here: finding, naming, adding and digesting raw files, their sidecars and human labels.
Does not belong here: reading pixels (`formats`, `cryoet.mrc`) or partition keys in Dagster (`automation`).
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from em2cryo_assets.formats.companions import (
    COMPANION_ENDINGS,
    FOLDER_ENDINGS,
    IMAGE_COMPANION_ENDINGS,
    companions,
    image_companions,
)
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import read_sidecar
from em2cryo_assets.formats.vendor_files import VENDOR_ENDINGS
from em2cryo_assets.partitions import check_slug, slugify
from em2cryo_assets.store.digest import digest_folder

__all__ = ["KINDS", "Inbox", "Kind", "RawFile"]

Kind = Literal["sem", "tem", "tomogram"]

KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "sem": (".tif", ".tiff", ".png", ".jpg", ".jpeg", *VENDOR_ENDINGS),
    "tem": (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".mrc", *VENDOR_ENDINGS),
    "tomogram": (
        *(f"{end}{packing}" for packing in ("", ".gz", ".bz2") for end in (".mrc", ".rec", ".map")),
        ".st", ".ali", ".tif", ".tiff", *VENDOR_ENDINGS, *FOLDER_ENDINGS,
    ),
}  # fmt: skip
"""Kind of raw file to the file name endings read now; those of Zarr are of folders."""

_COMPANION_ENDINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "sem": IMAGE_COMPANION_ENDINGS,
    "tem": IMAGE_COMPANION_ENDINGS,
    "tomogram": (*COMPANION_ENDINGS, ".emi"),
}

_LABEL_ENDINGS = (".labels.tif", ".labels.tiff", ".labels.png")


@dataclass(frozen=True)
class RawFile:
    """One raw file and what lies beside it.

    Parameters
    ----------
    kind : {"sem", "tem", "tomogram"}
        Folder of the inbox.
    key : str
        Partition key, made from the file name.
    path : pathlib.Path
        The raw file, or the folder of an OME-Zarr image.
    labels : pathlib.Path or None
        Labels drawn by a person (``<file name>.labels.tif``), which replace computed ones.
    rivals : tuple of pathlib.Path
        Other files whose names give the same key; such a key cannot be used.
    """

    kind: Kind
    key: str
    path: Path
    labels: Path | None = None
    rivals: tuple[Path, ...] = ()

    @property
    def sidecar(self) -> Path:
        """``<file name>.toml``, whether it exists or not."""
        return self.path.with_name(self.path.name + ".toml")


class Inbox:
    """The inbox folder of a study.

    Parameters
    ----------
    root : pathlib.Path
        Folder with ``sem/``, ``tem/`` and ``tomogram/``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._digests = _DigestCache(root / ".digests.json")

    def files(self, kind: Kind) -> dict[str, RawFile]:
        """All raw files of one kind by key, in key order; files with other endings are left alone."""
        folder = self.root / kind
        found: dict[str, list[Path]] = {}
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            ending = _ending(path.name, kind)
            if ending is None or path.name.startswith(".") or not _is_there(path, ending):
                continue
            try:
                found.setdefault(slugify(path.name[: -len(ending)]), []).append(path)
            except ValueError:
                continue  # listed by `unusable`
        return {
            key: RawFile(kind, key, paths[0], _labels_beside(paths[0]), tuple(paths[1:]))
            for key, paths in sorted(found.items())
        }

    def unusable(self, kind: Kind) -> list[Path]:
        """Files of one kind that no key can be made for, or whose ending is not read."""
        folder = self.root / kind
        listed = {path for raw in self.files(kind).values() for path in (raw.path, *raw.rivals)}
        return [
            path
            for path in (sorted(folder.iterdir()) if folder.is_dir() else [])
            if path not in listed
            and not path.name.startswith(".")
            and not path.name.lower().endswith((".toml", *_COMPANION_ENDINGS[kind], *_LABEL_ENDINGS))
        ]

    def require(self, kind: Kind, key: str) -> RawFile:
        """Return the one raw file of a key.

        Raises
        ------
        InputError
            If it is gone, or if two files claim the key.
        """
        raw = self.files(kind).get(key)
        if raw is None:
            raise InputError(key, "the raw file is no longer in the inbox.", f"put it back into {kind}/.")
        if raw.rivals:
            names = ", ".join(path.name for path in (raw.path, *raw.rivals))
            raise InputError(
                raw.path, f"{names} all give the key {key!r}.", "rename all but one of them, sidecars included."
            )
        return raw

    def digest(self, raw: RawFile) -> str:
        """Version of a raw file: its bytes, its sidecar's, its companions' and the names of its rivals."""
        parts = [self._digests.of(raw.path), *(path.name for path in raw.rivals)]
        if raw.sidecar.is_file():
            parts.append(self._digests.of(raw.sidecar))
        parts += [f"{ending} {self._digests.of(file)}" for ending, file in _companions(raw.kind, raw.path).items()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def sha256(self, raw: RawFile) -> str:
        """Checksum of a raw file's own bytes, as `sha256sum` prints it; of a folder that of all its files."""
        return self._digests.of(raw.path)

    def labels_digest(self, raw: RawFile) -> str | None:
        """Version of the human labels beside a raw file; None without any."""
        return self._digests.of(raw.labels) if raw.labels is not None else None

    def belongings(self, raw: RawFile) -> dict[Path, str]:
        """What lies beside a raw file, by path: ``sidecar``, ``labels`` or ``companion``."""
        found = {raw.sidecar: "sidecar"} if raw.sidecar.is_file() else {}
        if raw.labels is not None:
            found[raw.labels] = "labels"
        return found | dict.fromkeys(_companions(raw.kind, raw.path).values(), "companion")

    def simulated(self) -> bool | None:
        """Whether the study's raw files are simulated; None while it has none.

        The first readable sidecar decides, in key order; `automation.register` refuses the rest
        of a mixed inbox file by file.
        """
        for kind in KINDS:
            for raw in self.files(kind).values():  # type: ignore[arg-type]
                try:
                    return bool(read_sidecar(raw.path).simulated)
                except InputError:
                    continue
        return None

    def add(self, kind: Kind, source: Path, *, key: str | None = None) -> RawFile:
        """Copy a raw file, its sidecar, its companions and its labels into the inbox, whole or not at all.

        Parameters
        ----------
        kind : {"sem", "tem", "tomogram"}
            What the file is.
        source : pathlib.Path
            File to copy, or folder of an OME-Zarr image.
        key : str, optional
            Key to use instead of one made from the file name.

        Raises
        ------
        InputError
            If the file cannot be of this kind, its key is taken, the same bytes are already there, or
            simulated and real files would share a study.
        """
        ending = _ending(source.name, kind)
        if not (source.is_file() if ending is None else _is_there(source, ending)):
            raise InputError(source, "there is no such file.", "check the path.")
        if ending is None:
            raise InputError(
                source, f"{kind} files end in one of {', '.join(KINDS[kind])}.", "convert it, or use another kind."
            )
        try:
            slug = check_slug(key) if key is not None else slugify(source.name[: -len(ending)])
        except ValueError as error:
            raise InputError(source, str(error), "choose a key with --key.") from error
        existing = self.files(kind)
        if slug in existing:
            raise InputError(
                source,
                f"the key {slug!r} is already taken by {existing[slug].path.name}.",
                "choose another with --key, or delete the old file first.",
            )
        try:
            incoming = _digest(source)
        except ValueError as error:
            raise InputError(source, str(error), "copy what the links lead to into the folder.") from error
        for raw in existing.values():
            if self._digests.of(raw.path) == incoming:
                raise InputError(source, f"the same bytes are already there as {raw.path.name}.", "nothing to do.")
        ours, theirs = self.simulated(), bool(read_sidecar(source).simulated)
        if ours is not None and ours != theirs:
            word = {True: "simulated", False: "real"}
            raise InputError(
                source,
                f"it is {word[theirs]} and this study holds {word[ours]} files.",
                "keep them apart: set EM2CRYO_DATA to another folder and add it there.",
            )
        folder = self.root / kind
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / (slug + ending)
        files = [(Path(f"{source}.toml"), Path(f"{target}.toml"))]
        files += [(Path(f"{source}{end}"), Path(f"{target}{end}")) for end in _LABEL_ENDINGS]
        files += [(file, Path(f"{target}{ending}")) for ending, file in _companions(kind, source).items()]
        for origin, destination in (*files, (source, target)):  # the raw file last: it makes the key
            if origin.is_file() or origin == source:
                _copy_whole(origin, destination)
        return self.files(kind)[slug]


def _ending(name: str, kind: str) -> str | None:
    """Longest ending of ``name`` that the kind allows; None for companions and other files."""
    lowered = name.lower()
    if lowered.endswith((".toml", *_LABEL_ENDINGS)):
        return None
    fitting = [ending for ending in KINDS[kind] if lowered.endswith(ending)]
    return max(fitting, key=len) if fitting else None


def _companions(kind: Kind, path: Path) -> dict[str, Path]:
    """What a microscope or an alignment left beside a raw file, by ending."""
    if kind != "tomogram":
        return image_companions(path)
    of_image = image_companions(path)
    return companions(path) | ({".emi": of_image[".emi"]} if ".emi" in of_image else {})


def _labels_beside(path: Path) -> Path | None:
    return next((p for end in _LABEL_ENDINGS if (p := path.with_name(path.name + end)).is_file()), None)


def _is_there(path: Path, ending: str) -> bool:
    """Whether a path is what its ending says: a folder for Zarr (no link to one), else a file."""
    return path.is_dir() and not path.is_symlink() if ending in FOLDER_ENDINGS else path.is_file()


def _copy_whole(origin: Path, destination: Path) -> None:
    if origin.is_dir():
        holder = Path(tempfile.mkdtemp(dir=destination.parent, prefix=".adding-"))
        try:
            shutil.copytree(origin, holder / "copy", symlinks=True)
            (holder / "copy").rename(destination)
        finally:
            shutil.rmtree(holder, ignore_errors=True)
        return
    handle, temporary = tempfile.mkstemp(dir=destination.parent, prefix=".adding-")
    os.close(handle)
    try:
        shutil.copyfile(origin, temporary)
        os.chmod(temporary, 0o644)
        os.replace(temporary, destination)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _digest(path: Path) -> str:
    """SHA-256 of a file or a folder, read block by block: tomograms are many GB.

    Raises
    ------
    ValueError
        If a folder is empty or holds a link.
    """
    if path.is_dir():
        return digest_folder(path)
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _mark(path: Path) -> list[object]:
    """What changes when a file is written anew; for a folder, that of all its entries."""
    stat = path.stat()
    if not path.is_dir():
        return [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    total, listing = 0, hashlib.sha256()
    for parent, folders, names in os.walk(path):
        folders.sort()
        for name in sorted((*folders, *names)):
            entry = Path(parent, name)
            stat = entry.lstat()
            total += stat.st_size
            listing.update(f"{entry.relative_to(path)}\0{stat.st_size} {stat.st_mtime_ns} {stat.st_ino}\0".encode())
    return [total, listing.hexdigest(), "folder"]


class _DigestCache:
    """SHA-256 of files and folders, recomputed when size or time of change differ."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, list[object]] | None = None

    def of(self, path: Path) -> str:
        mark = _mark(path)
        known = self._load()
        name = str(path.resolve())
        if name in known and known[name][:3] == mark:
            return str(known[name][3])
        try:
            digest = _digest(path)
        except ValueError as error:
            # A version all the same, so that the study goes on; reading the folder will say what is wrong with it.
            digest = hashlib.sha256(f"{error} {mark}".encode()).hexdigest()
        known[name] = [*mark, digest]
        handle_fd, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".digests-")
        with os.fdopen(handle_fd, "w") as out:
            json.dump(known, out)
        os.replace(temporary, self._path)
        return digest

    def _load(self) -> dict[str, list[object]]:
        if self._known is None:
            try:
                self._known = json.loads(self._path.read_text())
            except (OSError, ValueError):
                self._known = {}  # only a cache: lost or damaged, it is made again
        assert self._known is not None
        return self._known
