"""Stands in for IMOD's newstack and tilt and for AreTomo: the same files and options, reconstruction by this package.

It is called by the name of the program that it plays, and shows nothing about the real ones.
"""

import itertools
import sys
from pathlib import Path

import mrcfile
import numpy as np

PLAYED = ("newstack", "tilt", "AreTomo2", "AreTomo3")


def install(folder: Path, *names: str, body: str = "") -> None:
    """Put executables of these names into a folder; `body` in place of what they do."""
    run = body or f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\nfrom {__name__} import main\nmain()"
    for name in names:
        script = folder / name
        script.write_text(f"#!{sys.executable}\nimport sys\n{run}\n")
        script.chmod(0o755)


def read(name: str) -> np.ndarray:
    with mrcfile.open(name) as source:
        return np.array(source.data, dtype=np.float32)


def write(name: str, data: np.ndarray) -> None:
    with mrcfile.new(name) as out:
        out.set_data(np.ascontiguousarray(data, dtype=np.float32))


def numbers(name: str) -> np.ndarray:
    return np.loadtxt(name, ndmin=2)


def given() -> dict[str, str]:
    """What stands on standard input, a keyword a line."""
    return {line.split()[0]: " ".join(line.split()[1:]) for line in sys.stdin if line.strip()}


def options() -> dict[str, str]:
    arguments = sys.argv[1:]
    return {name: value for name, value in itertools.pairwise(arguments) if name.startswith("-")}


def newstack() -> None:
    from em2cryo_assets.cryoet.align import transformed

    asked = given()
    stack, factor = read(asked["InputFile"]), int(asked["BinByFactor"])
    width, height = (int(side) for side in asked["SizeToOutputInXandY"].split(","))
    moved = []
    for view, row in zip(stack, numbers(asked["TransformFile"]), strict=True):
        cut = view[: view.shape[0] // factor * factor, : view.shape[1] // factor * factor]
        small = cut.reshape(cut.shape[0] // factor, factor, -1, factor).mean(axis=(1, 3))
        transform = np.array([[row[0], row[1], row[4] / factor], [row[2], row[3], row[5] / factor]])
        moved.append(transformed(small, transform, (height, width)))
    write(asked["OutputFile"], np.stack(moved))


def projected_back(views: np.ndarray, tilts: np.ndarray, depth: int) -> np.ndarray:
    """Dark where matter is dense, slices along y, rows towards -z: as tilt writes it."""
    from em2cryo_assets.cryoet.from_tilt_series import _line_integrals
    from em2cryo_assets.cryoet.reconstruct import back_project

    order = np.argsort(tilts, kind="stable")
    lined = np.stack([_line_integrals(views[n]) for n in order])
    density = back_project(lined, tilts[order].tolist(), depth)
    return -density[::-1].transpose(1, 0, 2)


def tilt() -> None:
    asked = given()
    print("tilt: Version 9.9.9-stand-in")
    views, tilts = read(asked["InputProjections"]), numbers(asked["TILTFILE"])[:, 0]
    out = {int(n) - 1 for n in asked.get("EXCLUDELIST", "").split(",") if n}
    kept = [n for n in range(len(views)) if n not in out]
    write(asked["OutputFile"], projected_back(views[kept], tilts[kept], int(asked["THICKNESS"])))


def aretomo() -> None:
    """Views that are given with ``-Align 0``, or binned and taken as aligned."""
    asked, third = options(), Path(sys.argv[0]).name == "AreTomo3"
    print(f"{Path(sys.argv[0]).name} version: 7.7")
    stack = read(asked["-InPrefix" if third else "-InMrc"])
    tilts = numbers("views_TLT.txt" if third else asked["-AngFile"])[:, 0]
    factor = int(asked["-AtBin" if third else "-OutBin"])
    count, height, width = stack.shape
    small = stack.reshape(count, height // factor, factor, width // factor, factor).mean(axis=(2, 4))
    slices = projected_back(small, tilts, int(asked["-VolZ"]) // factor)
    assert asked["-FlipVol"] == "1"
    write("views_Vol.mrc" if third else asked["-OutMrc"], slices.transpose(1, 0, 2)[::-1])


def main() -> None:
    name = Path(sys.argv[0]).name
    {"newstack": newstack, "tilt": tilt, "AreTomo2": aretomo, "AreTomo3": aretomo}[name]()
