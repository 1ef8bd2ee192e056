"""Studies of a few small cells, brought up to date in this process, with every computation counted."""

import contextlib
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.assets.lineage import STAGES
from em2cryo_assets.automation.batches import Chain, Outcome, bring_up_to_date, materialize_chain
from em2cryo_assets.automation.plan import Step, make_plan
from em2cryo_assets.resources.compute import ComputeResource
from em2cryo_assets.resources.study import Study, open_study

DEMO = Path(__file__).parents[2] / "data" / "demo" / "inbox"
ASSETS = ("cell_view", *STAGES)
TABLES = {(name, None) for name in ("comparison_table", "verdicts", "verdict_calibration", "limitations", "report")}
OF_A_CELL = ("cell_view", "cell_surface", "cell_mesh", "fused_volume", "cell_features")
# Voxels as large as the check of the filled volume lets pass for cells of 2.6 µm.
SETTINGS = (
    "fused_voxel_nm = 60\nrealisations = 1\npairs_per_tomogram = 2\nsimulated_cells = 1\ncalibration_studies = 1\n"
)
PIXEL_NM, STEP_PX, MARGIN_PX = 60.0, 56, 12

Computed = Counter[tuple[str, str | None]]


def cells_in_rows(rows: int, columns: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Ellipsoids with bright rims in a grid, one differing from the next by its angle; image and labels."""
    shape = (rows * STEP_PX + 2 * MARGIN_PX, columns * STEP_PX + 2 * MARGIN_PX)
    image, labels = np.full(shape, 35.0), np.zeros(shape, np.uint16)
    y, x = np.indices(shape, dtype=float)
    for number in range(1, rows * columns + 1):
        row, column = divmod(number - 1, columns)
        dy, dx = (p - MARGIN_PX - STEP_PX * (n + 0.5) for p, n in ((y, row), (x, column)))
        c, s = np.cos(0.7 * number + seed), np.sin(0.7 * number + seed)
        q = ((c * dx + s * dy) / 24) ** 2 + ((c * dy - s * dx) / 20) ** 2
        image *= 1 - 0.6 * np.exp(-ndimage.distance_transform_edt(q >= 1) / 5)
        image[q < 1] = 100 * (1.15 / (np.sqrt(1 - q[q < 1]) + 0.15)) ** 0.35
        labels[q < 1] = number
    noisy = np.random.default_rng(seed).normal(ndimage.gaussian_filter(image, 1.0), 3)
    return noisy.clip(0, 255).astype(np.uint8), labels


def put_field(inbox: Path, name: str, image: NDArray[np.uint8], labels: NDArray[np.uint16] | None = None) -> Path:
    """Write a simulated field with its sidecar; labels stand for a person's."""
    path = inbox / "sem" / name
    tifffile.imwrite(path, image)
    Path(f"{path}.toml").write_text(f"pixel_size_nm = {PIXEL_NM}\nsimulated = true\n")
    if labels is not None:
        draw_labels(path, labels)
    return path


def draw_labels(path: Path, labels: NDArray[np.uint16]) -> None:
    tifffile.imwrite(f"{path}.labels.tif", labels)


def put_demo(inbox: Path, kind: str, name: str) -> Path:
    """Copy a raw file of the demo study with its sidecar."""
    for end in ("", ".toml"):
        shutil.copy(DEMO / kind / (name + end), inbox / kind / (name + end))
    return inbox / kind / name


def put_one_cell(inbox: Path) -> None:
    """The least study with something in every table."""
    put_field(inbox, "field-01.tif", *cells_in_rows(1, 1))
    for name in ("section-01.png", "section-02.png"):
        put_demo(inbox, "tem", name)
    put_demo(inbox, "tomogram", "lamella-02.mrc")


@dataclass
class TinyStudy:
    """A study and the Dagster instance that keeps its events."""

    study: Study
    instance: dg.DagsterInstance

    @property
    def inbox(self) -> Path:
        return self.study.root / "inbox"

    def run(self, scheduler: str = "threads") -> tuple[Outcome, Computed]:
        """Bring it up to date; what came out and every materialization on the way."""
        before = self.computed()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EM2CRYO_DATA", str(self.study.root))
            outcome = bring_up_to_date(
                self.study, self.instance, ComputeResource(scheduler=scheduler), lambda line: None
            )
        return outcome, self.computed() - before

    def make(self, key: str | None, *assets: str) -> None:
        """Run some assets of one key, and nothing of what follows."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EM2CRYO_DATA", str(self.study.root))
            assert materialize_chain(Chain(key, assets), self.instance).materialized == assets

    def computed(self) -> Computed:
        """Materialization events by asset and key."""
        counts: Computed = Counter()
        for name in ASSETS:
            for record in self.instance.fetch_materializations(dg.AssetKey(name), limit=5000).records:
                counts[name, record.partition_key] += 1
        return counts

    def plan(self) -> dict[tuple[str, str | None], Step]:
        return {(step.asset, step.key): step for step in make_plan(self.study, self.instance)}

    def live(self, key_set: str) -> set[str]:
        return set(self.instance.get_dynamic_partitions(key_set))

    def pairs(self) -> set[str | None]:
        """The pairs that the study compares now."""
        return {key for (asset, key), step in self.plan().items() if asset == "comparison" and step.state != "retired"}

    def digests(self) -> dict[tuple[str, str | None], str]:
        """Version of all that was ever published and is still pointed at."""
        store = self.study.store
        places = [(name, key) for name in ASSETS for key in (*store.keys(name), None)]
        found = ((place, store.current(*place)) for place in places)
        return {place: artifact.digest for place, artifact in found if artifact is not None}

    def bytes_of_all_but_the_report(self) -> dict[tuple[str, str | None], str]:
        """What two studies of the same files share; their reports name the runs that made them."""
        return {place: digest for place, digest in self.digests().items() if place[0] != "report"}

    def read_by(self, asset: str) -> set[tuple[str, str | None]]:
        """Asset and key of every input of a table."""
        artifact = self.study.store.current(asset, None)
        assert artifact is not None
        return {(ref.asset, ref.key) for ref in artifact.provenance.inputs}


@contextlib.contextmanager
def opened(root: Path) -> Iterator[TinyStudy]:
    """Open a study folder; settings of tiny studies are written where there are none."""
    root.mkdir(parents=True, exist_ok=True)
    if not (root / "study.toml").exists():
        (root / "study.toml").write_text(SETTINGS)
    study = open_study(root)
    with dg.DagsterInstance.from_config(str(study.dagster_home)) as instance:
        yield TinyStudy(study, instance)


@contextlib.contextmanager
def copied(root: Path, to: Path) -> Iterator[TinyStudy]:
    """A copy to change at will; the original stays for the next test."""
    shutil.copytree(root, to)
    with opened(to) as tiny:
        yield tiny
