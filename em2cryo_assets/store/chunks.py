"""Reading chunks that may have been damaged since they were written.

Belongs here: one level of an image as something dask reads from, and the error that names a damaged one.
Does not belong here: writing (`store.levels`), looking through a whole store (`store.verify`).
"""

from pathlib import Path
from typing import Any

import dask.array as da
import zarr
from numpy.typing import NDArray

__all__ = ["DamagedChunkError", "lazy_array"]


class DamagedChunkError(OSError):
    """A chunk whose bytes are not those that were written.

    Parameters
    ----------
    folder : str
        Folder of the array.
    reason : str
        What the decoder said.
    """

    def __init__(self, folder: str, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(
            f"{folder}: a chunk is damaged ({reason}). Remedy: type em2cryo store verify --set-aside, then em2cryo run."
        )

    def __reduce__(self) -> tuple[type["DamagedChunkError"], tuple[str, str]]:
        """Survive the trip between processes."""
        return (DamagedChunkError, (self.folder, self.reason))


class _Checked:
    """A Zarr array whose damage is told in words."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._array = zarr.open_array(self._folder, mode="r")
        self.shape, self.dtype, self.ndim = self._array.shape, self._array.dtype, self._array.ndim

    @property
    def chunks(self) -> tuple[int, ...]:
        return tuple(int(side) for side in self._array.chunks)

    def __dask_tokenize__(self) -> tuple[str, str]:
        return ("em2cryo-chunks", self._folder)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        try:
            return self._array[index]  # type: ignore[return-value]
        except (ValueError, RuntimeError) as error:  # a checksum that differs; a block that cannot be decoded
            raise DamagedChunkError(self._folder, str(error).rstrip(".")) from error


def lazy_array(folder: Path) -> da.Array:
    """Open a Zarr array lazily.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the array.

    Returns
    -------
    dask.array.Array
        With the array's own chunks; computing it raises `DamagedChunkError` where a chunk is damaged.
    """
    source = _Checked(folder)
    return da.from_array(source, chunks=source.chunks)
