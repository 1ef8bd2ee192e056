"""Publishing whole artifacts or nothing.

Belongs here: the layout ``<root>/<asset>/<key>/<digest>/``, the pointer to the current digest, the record
of a failure, and the order of operations that survives a killed writer.
Does not belong here: what lies inside an artifact (`store.images`, `store.meshes`, `store.tables`).

What a key's folder holds::

    <digest>/          immutable; the digest is that of its bytes
    <digest>.json      provenance of the latest run that produced these bytes
    <digest>.files     checksum, size and name of each file, so that a damaged one can be named
    current            the digest that readers take; replaced last
    failure.json       the last failure, until something is published
    .lock              held for the moments in which the folder's entries change
    .staging-<id>/     a writer at work; locked by it, so a dead writer's folder can be told from a live one's

The names and the lock are in `store.entries`.
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from em2cryo_assets.store.digest import digest_files, digest_folder, list_of_files
from em2cryo_assets.store.entries import FAILURE, POINTER, is_digest, locked, new_staging, remove_abandoned
from em2cryo_assets.store.keys import checked_asset, folder_of_key, key_of_folder
from em2cryo_assets.store.provenance import Provenance

__all__ = ["Artifact", "Staging", "Store"]


@dataclass(frozen=True)
class Artifact:
    """A published, immutable artifact.

    Parameters
    ----------
    asset, key : str, str or None
        What it is.
    digest : str
        SHA-256 of its files; serves as data version.
    path : pathlib.Path
        Folder with the files; never changes once published.
    provenance : Provenance
        How these bytes were last made.
    """

    asset: str
    key: str | None
    digest: str
    path: Path
    provenance: Provenance


class Staging(os.PathLike[str]):
    """A folder to write into; what lies in it when the ``with`` block ends is published.

    Attributes
    ----------
    path : pathlib.Path
        The folder. Also reached as ``staging / "name"``.
    provenance : Provenance
        May be replaced until the block ends, e.g. to add a fallback met while computing.
    artifact : Artifact or None
        What was published; None until the block has ended well.
    """

    def __init__(self, path: Path, provenance: Provenance) -> None:
        self.path = path
        self.provenance = provenance
        self.artifact: Artifact | None = None

    def __fspath__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name


class Store:
    """Artifacts of a study, by asset, key and digest.

    Safe for any number of processes and threads on one machine: readers never lock, writers lock only while
    the entries of one key's folder change, and the kernel frees the locks of a killed writer.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the store; made when something is published.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    @contextlib.contextmanager
    def publish(self, asset: str, key: str | None, provenance: Provenance) -> Iterator[Staging]:
        """Write an artifact; it becomes visible whole, or not at all.

        Parameters
        ----------
        asset, key : str, str or None
            What is written.
        provenance : Provenance
            How it is made; must name the same asset and key.

        Yields
        ------
        Staging
            Folder to write into; its ``artifact`` is set after the block.

        Raises
        ------
        ValueError
            If the names are unsafe, the provenance is of something else, or nothing was written.
        """
        folder = self._folder(asset, key)
        _check_same(asset, key, provenance)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            remove_abandoned(folder)
            path = new_staging(folder)
            path.mkdir()
            lock = os.open(path, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
        staging = Staging(path, provenance)
        try:
            yield staging
            _check_same(asset, key, staging.provenance)
            staging.artifact = self._commit(folder, asset, key, staging)
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)

    def _commit(self, folder: Path, asset: str, key: str | None, staging: Staging) -> Artifact:
        record = staging.provenance.to_json()  # a bad parameter must fail before anything is visible
        digest, files = digest_files(staging.path, sync=True)
        target = folder / digest
        with locked(folder):
            if target.exists() and digest_folder(target) != digest:
                # Someone changed published bytes by hand; mend them with the good ones just written.
                target.rename(new_staging(folder))
            if not target.exists():
                staging.path.rename(target)
                _sync_folder(folder)
            _replace(folder / f"{digest}.files", list_of_files(files))
            _replace(folder / f"{digest}.json", record)
            _replace(folder / POINTER, digest + "\n")
            (folder / FAILURE).unlink(missing_ok=True)
            remove_abandoned(folder)
        return Artifact(asset, key, digest, target, staging.provenance)

    def current(self, asset: str, key: str | None) -> Artifact | None:
        """Return the artifact that readers should take, or None if nothing was published."""
        try:
            digest = (self._folder(asset, key) / POINTER).read_text().strip()
        except FileNotFoundError:
            return None
        return self.get(asset, key, digest)

    def get(self, asset: str, key: str | None, digest: str) -> Artifact | None:
        """Return the artifact with these bytes, current or older, or None.

        Raises
        ------
        ValueError
            If `digest` is not 64 hexadecimal digits.
        """
        if not is_digest(digest):
            raise ValueError(f"{digest!r} is not a digest (64 hexadecimal digits).")
        path = self._folder(asset, key) / digest
        record = path.with_name(f"{digest}.json")
        if not path.is_dir() or not record.is_file():
            return None
        return Artifact(asset, key, digest, path, Provenance.from_json(record.read_text(encoding="utf-8")))

    def keys(self, asset: str) -> list[str]:
        """Sorted keys of a partitioned asset for which something was published."""
        try:
            folders = sorted(os.listdir(self.root / checked_asset(asset)))
        except FileNotFoundError:
            return []
        found = (key_of_folder(name) for name in folders if self._is_published(asset, name))
        return sorted(key for key in found if key is not None)

    def _is_published(self, asset: str, folder_name: str) -> bool:
        return (self.root / asset / folder_name / POINTER).is_file()

    def record_failure(self, asset: str, key: str | None, message: str, inputs_digest: str, code_version: str) -> None:
        """Remember why a key could not be made, and from what, so that nobody tries the same again.

        Parameters
        ----------
        asset, key : str, str or None
            What failed.
        message : str
            The reason, in words for the owner of the data.
        inputs_digest, code_version : str
            What it was tried with.
        """
        folder = self._folder(asset, key)
        folder.mkdir(parents=True, exist_ok=True)
        record = {"message": message, "inputs_digest": inputs_digest, "code_version": code_version}
        with locked(folder):
            _replace(folder / FAILURE, json.dumps(record, indent=2, ensure_ascii=False) + "\n")

    def failure(self, asset: str, key: str | None) -> dict[str, str] | None:
        """Return message, inputs_digest and code_version of the last failure since the last publication."""
        try:
            text = (self._folder(asset, key) / FAILURE).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return {str(name): str(value) for name, value in json.loads(text).items()}

    def _folder(self, asset: str, key: str | None) -> Path:
        return self.root / checked_asset(asset) / folder_of_key(key)


def _check_same(asset: str, key: str | None, provenance: Provenance) -> None:
    if (provenance.asset, provenance.key) != (asset, key):
        raise ValueError(
            f"The provenance is of {provenance.asset!r}, key {provenance.key!r}; "
            f"what is published is {asset!r}, key {key!r}."
        )


def _replace(path: Path, text: str) -> None:
    """Write a small file so that a reader sees the old or the new one, also after a power cut."""
    temporary = path.with_name(f".{path.name}.new")  # one name is enough: the caller holds the folder's lock
    with temporary.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
