"""The digest of a folder of files.

Belongs here: what counts as the same bytes. Does not belong here: what the digest is used for.
"""

import hashlib
import os
from pathlib import Path

__all__ = ["digest_folder"]

_BLOCK_BYTES = 1 << 20


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
    for name_bytes, path in sorted(files):
        with path.open("rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            digest.update(b"%d:%s%d:" % (len(name_bytes), name_bytes, size))
            while block := handle.read(_BLOCK_BYTES):
                digest.update(block)
            if sync:
                os.fsync(handle.fileno())
    if sync:
        for path in reversed(folders):
            handle_fd = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle_fd)
            finally:
                os.close(handle_fd)
    return digest.hexdigest()
