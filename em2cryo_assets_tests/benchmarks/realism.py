"""How far a simulated crowded SEM field is from a real one, in grey levels and in detail.

Run as a script with a path it draws the simulated field alone, for the documentation.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets_tests.benchmarks.figure import Figure

PIXEL_NM = 21.4
SHAPE = (720, 930)  # the part of the real field above and beside its scale bar
SEEDS = (0, 1, 2)
CELLS = 36
# From four periods a picture to where the real picture's compression begins.
LOWEST_PERIODS, HIGHEST_FREQUENCY, RINGS = 4.0, 0.4, 22


def figures() -> Iterator[Figure]:
    """Grey levels and spectrum of simulated fields against the real field; a note where there is none."""
    folder = os.environ.get("EM2CRYO_REFERENCE_DATA")
    if not folder:
        print("realism: EM2CRYO_REFERENCE_DATA is not set, so there is no real field to compare with", file=sys.stderr)
        return
    from PIL import Image

    path = Path(folder) / "sem" / "saccharomyces_field.jpg"
    real = np.asarray(Image.open(path).convert("L"))[: SHAPE[0], : SHAPE[1]]
    fields = [simulated_field(seed) for seed in SEEDS]
    distance = np.mean([grey_distance(field, real) for field in fields])
    yield Figure.at_most(
        "grey levels of a simulated field, Wasserstein-1", float(distance), "standard deviations", 0.15
    )
    spectrum = np.mean([log_spectrum(field) for field in fields], axis=0)
    error = np.sqrt(np.mean((spectrum - log_spectrum(real)) ** 2))
    # How far the two halves of the real field are from each other: no simulation can be asked for less.
    halves = [log_spectrum(real[:, side : side + SHAPE[1] // 2]) for side in (0, SHAPE[1] // 2)]
    peer = float(np.sqrt(np.mean((halves[0] - halves[1]) ** 2)))
    yield Figure.at_most("log power spectrum of simulated fields, RMS", float(error), "ln", 0.3, round(peer, 4))


def simulated_field(seed: int) -> NDArray[np.uint8]:
    """A crowded field of cells as small as those of the real one (2.7 to 3.7 µm)."""
    from em2cryo_assets.phantom.body import random_rotation
    from em2cryo_assets.phantom.charging import CROWDED
    from em2cryo_assets.phantom.fields import crowd, dried_stranger
    from em2cryo_assets.phantom.pile import drop_cells, sem_image
    from em2cryo_assets.phantom.relief import trace_relief
    from em2cryo_assets.phantom.scene import draw_cell

    rng = np.random.default_rng(seed)
    cells = [dried_stranger(draw_cell(1000 * seed + i), rng) for i in range(CELLS)]
    reliefs = [trace_relief(cell, random_rotation(rng), rng.uniform(0.56, 0.76), PIXEL_NM) for cell in cells]
    heap = crowd(reliefs, SHAPE, seed=seed)
    pile = drop_cells(heap.reliefs, heap.centres, SHAPE, PIXEL_NM)
    return sem_image(pile, PIXEL_NM, seed=seed, look=CROWDED)


def _standardised(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    values = image.astype(np.float64)
    return (values - values.mean()) / values.std()


def grey_distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Wasserstein-1 distance of the standardised grey levels of two pictures."""
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(_standardised(one).ravel(), _standardised(other).ravel()))


def log_spectrum(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Natural logarithm of the mean power in rings of spatial frequency, Hann window, shape (RINGS,).

    Rings are equally wide in the logarithm of the frequency; pictures of one height have the same rings.
    """
    values = _standardised(image)
    window = np.hanning(values.shape[0])[:, None] * np.hanning(values.shape[1])[None]
    values = (values - (values * window).sum() / window.sum()) * window
    power = np.abs(np.fft.rfft2(values)) ** 2 / np.square(window).sum()
    frequency = np.hypot(np.fft.fftfreq(values.shape[0])[:, None], np.fft.rfftfreq(values.shape[1])[None])
    edges = np.geomspace(LOWEST_PERIODS / SHAPE[0], HIGHEST_FREQUENCY, RINGS + 1)
    ring = np.digitize(frequency.ravel(), edges)
    return np.log([power.ravel()[ring == number].mean() for number in range(1, RINGS + 1)])


def draw_simulated(path: Path) -> None:
    """Save a simulated field, with that word burnt in; nothing real is in it."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.fromarray(simulated_field(SEEDS[0]))
    pen = ImageDraw.Draw(image)
    pen.rectangle((image.width - 190, image.height - 66, image.width - 1, image.height - 1), fill=255)
    pen.text((image.width - 180, image.height - 62), "SIMULATED", fill=0, font=ImageFont.load_default(28))
    length = round(2000.0 / PIXEL_NM)
    pen.rectangle((image.width - 180, image.height - 20, image.width - 180 + length - 1, image.height - 14), fill=0)
    pen.text((image.width - 70, image.height - 27), "2 um", fill=0, font=ImageFont.load_default(18))
    image.save(path, optimize=True)


if __name__ == "__main__":
    draw_simulated(Path(sys.argv[1]))
