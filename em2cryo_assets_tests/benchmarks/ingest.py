"""MRC to OME-Zarr, beside two other programs and beside the floor: reading, encoding and writing alone.

Every conversion runs in a process of its own, which counts its CPU seconds (user and system, imports left out) and its
peak memory. Each runs as often as `ROUNDS` says, one after another in turn, and its least CPU time counts: on a busy
machine the same work takes up to half more.
"""

import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from em2cryo_assets_tests.benchmarks.figure import Figure

ROUNDS = 3
SHAPE = (256, 1024, 1024)
"""512 MiB of int16."""
LONG_SHAPE = (2048, 1024, 1024)
"""4 GiB."""
SIDE = 128


def figures() -> Iterator[Figure]:
    """CPU seconds and memory of a file of 512 MiB, memory of one of 4 GiB."""
    with tempfile.TemporaryDirectory() as folder:
        source = _write(Path(folder) / "half.mrc", SHAPE)
        names = ["ours", "floor", "ngff_zarr", "ngff_zarr_cheapest"]
        if importlib.util.find_spec("ome_zarr") is None:
            print("ome-zarr-py is not installed (pip install ome-zarr): no figure beside it", file=sys.stderr)
        else:
            names.append("ome_zarr_py")
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for number in range(ROUNDS):
            for name in names:
                if number and name not in ("ours", "floor"):
                    continue  # minutes each on a busy machine, for a ratio far from its limit
                runs[name].append(_run(name, source, Path(folder) / "out"))
        cpu = {name: min(run["cpu_s"] for run in found) for name, found in runs.items()}
        memory = max(run["peak_mb"] for run in runs["ours"])
        ours = cpu["ours"]
        yield Figure.at_most("ingest: CPU of 512 MiB int16 over the floor", ours / cpu["floor"], "ratio", 1.6)
        yield Figure.at_most("ingest: CPU of 512 MiB int16", ours, "s", 4.0, round(cpu["floor"], 2))
        for name, limit in (("ngff_zarr", 0.2), ("ngff_zarr_cheapest", 0.4), ("ome_zarr_py", 0.1)):
            if name in cpu:
                bench = f"ingest: CPU of 512 MiB int16 over that of {name}"
                yield Figure.at_most(bench, ours / cpu[name], "ratio", limit, round(cpu[name], 2))
        yield Figure.at_most(
            "ingest: peak memory, 512 MiB", memory, "MB", 1000, round(max(r["peak_mb"] for r in runs["ngff_zarr"]))
        )
        source.unlink()
        source = _write(Path(folder) / "four.mrc", LONG_SHAPE)
        long = _run("ours", source, Path(folder) / "out")["peak_mb"]
        yield Figure.at_most("ingest: peak memory, 4 GiB", long, "MB", 1000)
        yield Figure.at_most("ingest: peak memory, 4 GiB over 512 MiB", long / memory, "ratio", 1.1)
        density = _run("density", source, Path(folder) / "out")["peak_mb"]
        yield Figure.at_most("ingest: peak memory of a tomogram as density, 4 GiB", density, "MB", 1000)


def _write(path: Path, shape: tuple[int, int, int]) -> Path:
    """A volume of noise on a slow wave, about 8.5 bits a voxel as a tomogram has; written a block of sections at a time."""
    from mrcfile.dtypes import HEADER_DTYPE

    header = np.zeros((), HEADER_DTYPE)
    for name, length in zip(("nz", "ny", "nx"), shape, strict=True):
        header[name] = header[name.replace("n", "m")] = length
        header["cella"][name[1]] = 10.0 * length
    header["mode"], header["mapc"], header["mapr"], header["maps"] = 1, 1, 2, 3
    header["map"], header["machst"] = b"MAP ", (0x44, 0x44, 0, 0)
    noise = np.random.default_rng(0).standard_normal((16, *shape[1:]), np.float32) * 90
    with path.open("wb") as out:
        out.write(header.tobytes())
        for z in range(0, shape[0], len(noise)):
            out.write((np.roll(noise, 7 * z, axis=2) + 200 * np.sin(z / 40)).astype("<i2").tobytes())
    return path


def _run(name: str, source: Path, target: Path) -> dict[str, float]:
    shutil.rmtree(target, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", __name__, name, str(source), str(target)],
        capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    shutil.rmtree(target, ignore_errors=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _mapped(source: Path) -> Any:
    import mrcfile

    return mrcfile.mmap(source, mode="r").data


def _codec() -> Any:
    from zarr.codecs import BloscCodec

    return BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle")


def ours() -> Callable[[Path, Path], object]:
    """`store.mrc_to_ome_zarr`."""
    from em2cryo_assets.store import mrc_to_ome_zarr

    return mrc_to_ome_zarr


def density() -> Callable[[Path, Path], object]:
    """What the asset `tomogram` does: float32, high where matter is dense."""
    from em2cryo_assets.cryoet.mrc import open_tomogram
    from em2cryo_assets.formats.sidecar import Sidecar
    from em2cryo_assets.store.images import write_image

    def convert(source: Path, target: Path) -> None:
        tomogram = open_tomogram(source, Sidecar(modality="lamella"))
        write_image(target, tomogram.density, voxel_nm=tomogram.voxel_nm, name="a")

    return convert


def floor() -> Callable[[Path, Path], object]:
    """Chunks of the finest level alone: no pyramid, no metadata."""
    import zarr  # noqa: F401 (switches the codec's own threads off)
    from numcodecs import Blosc

    def convert(source: Path, target: Path) -> None:
        codec, data = Blosc("zstd", 1, Blosc.BITSHUFFLE), _mapped(source)
        target.mkdir()
        for z in range(0, data.shape[0], SIDE):
            for y in range(0, data.shape[1], SIDE):
                for x in range(0, data.shape[2], SIDE):
                    chunk = np.ascontiguousarray(data[z : z + SIDE, y : y + SIDE, x : x + SIDE])
                    (target / f"{z}-{y}-{x}").write_bytes(codec.encode(chunk))

    return convert


def ngff_zarr() -> Callable[[Path, Path], object]:
    """ngff-zarr as it comes: a Gaussian before every halving."""
    return _ngff()


def ngff_zarr_cheapest() -> Callable[[Path, Path], object]:
    """ngff-zarr with the cheapest of its means over 2 x 2 x 2."""
    from ngff_zarr import Methods

    return _ngff(method=Methods.DASK_BIN_SHRINK)


def _ngff(**how: Any) -> Callable[[Path, Path], object]:
    import ngff_zarr as peer

    def convert(source: Path, target: Path) -> None:
        image = peer.to_ngff_image(
            _mapped(source),
            dims=["z", "y", "x"],
            scale=dict.fromkeys("zyx", 1.0),
            axes_units=dict.fromkeys("zyx", "nanometer"),
        )
        scales = peer.to_multiscales(image, scale_factors=[2, 4, 8], chunks=SIDE, **how)
        peer.to_ome_zarr(target, scales, version="0.5", compressors=_codec())

    return convert


def ome_zarr_py() -> Callable[[Path, Path], object]:
    """ome-zarr-py's `write_image` of the array, with its own way of halving and our chunks and codec."""
    import zarr
    from ome_zarr.format import FormatV05
    from ome_zarr.writer import write_image

    def convert(source: Path, target: Path) -> None:
        write_image(
            np.asarray(_mapped(source)),
            zarr.create_group(target, zarr_format=3),
            axes="zyx",
            fmt=FormatV05(),
            scale_factors=(2, 4, 8),
            storage_options={"chunks": (SIDE,) * 3, "compressors": _codec()},
        )

    return convert


def _peak_mb() -> float:
    """Peak memory of this process; `ru_maxrss` would count that of the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    convert = globals()[sys.argv[1]]()
    before = resource.getrusage(resource.RUSAGE_SELF)
    convert(Path(sys.argv[2]), Path(sys.argv[3]))
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"cpu_s": seconds, "peak_mb": _peak_mb()}))
