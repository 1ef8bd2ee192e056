"""The digest of a folder of files.

Belongs here: what counts as the same bytes. Does not belong here: what the digest is used for.
"""

import hashlib
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FileSum", "digest_files", "digest_folder", "list_of_files", "read_list_of_files"]

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class FileSum:
    """Checksum of one file: enough to find the one that changed; that nothing changed is what the digest says.

    Parameters
    ----------
    name : str
        Path relative to the folder, with ``/``.
    size : int
        Bytes.
    crc32 : int
        CRC-32 of the bytes.
    """

    name: str
    size: int
    crc32: int


def list_of_files(files: list[FileSum]) -> str:
    """One line a file: CRC-32 in hexadecimal digits, size in bytes, name."""
    return "".join(f"{one.crc32:08x} {one.size} {one.name}\n" for one in files)


def read_list_of_files(text: str) -> list[FileSum]:
    """Inverse of `list_of_files`.

    Raises
    ------
    ValueError
        If a line is not what `list_of_files` writes.
    """
    parts = [line.split(" ", 2) for line in text.split("\n")[:-1]]
    return [FileSum(name, int(size), int(crc, 16)) for crc, size, name in parts]


def digest_folder(folder: Path, *, sync: bool = False) -> str:
    """SHA-256 over the relative paths and the bytes of all files of a folder.

    Names are taken in byte order, and each name and file is preceded by its length, so that no two different
    folders give the same stream. Empty folders, times and permissions do not count.

    Parameters
    ----------
    folder : pathlib.Path
        Folder to digest, with everything below it.
    sync : bool
        Also make sure that files and folders have reached the disk.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    ValueError
        If there is no file, or something that is neither a file nor a folder (a link's target can change).
    """
    return digest_files(folder, sync=sync)[0]


def digest_files(
    folder: Path, *, sync: bool = False, progress: Callable[[int], None] | None = None
) -> tuple[str, list[FileSum]]:
    """`digest_folder`, with the checksum of each file from the same reading.

    Parameters
    ----------
    folder, sync
        As for `digest_folder`.
    progress : callable, optional
        Takes the number of bytes read since it was called last.

    Raises
    ------
    ValueError
        As for `digest_folder`.
    """
    files: list[tuple[bytes, Path]] = []
    folders: list[Path] = []
    linked: list[Path] = []
    for parent, inner, names in os.walk(folder):
        folders.append(Path(parent))
        linked += [path for name in (*inner, *names) if (path := Path(parent, name)).is_symlink()]
        for name in names:
            path = Path(parent, name)
            files.append((path.relative_to(folder).as_posix().encode(), path))
    irregular = linked + [path for _, path in files if not path.is_file()]
    if irregular:
        raise ValueError(f"{irregular[0].name} is a link or a special file; only plain files can be stored.")
    if not files:
        raise ValueError("Nothing was written: the folder holds no file.")
    digest = hashlib.sha256()
    sums: list[FileSum] = []
    for name_bytes, path in sorted(files):
        with path.open("rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            digest.update(b"%d:%s%d:" % (len(name_bytes), name_bytes, size))
            crc = 0
            while block := handle.read(_BLOCK_BYTES):
                digest.update(block)
                crc = zlib.crc32(block, crc)
                if progress is not None:
                    progress(len(block))
            sums.append(FileSum(path.relative_to(folder).as_posix(), size, crc))
            if sync:
                os.fsync(handle.fileno())
    if sync:
        for path in reversed(folders):
            handle_fd = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle_fd)
            finally:
                os.close(handle_fd)
    return digest.hexdigest(), sums
