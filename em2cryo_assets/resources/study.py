"""One study: a data folder with inbox, store, Dagster home, settings and report.

Belongs here: where things lie and what the study's owner may set.
Does not belong here: what is computed (`assets`) or when (`automation`).
"""

import hashlib
import json
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import dagster as dg

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.dagster_home import write_settings
from em2cryo_assets.resources.inbox import KINDS, Inbox
from em2cryo_assets.store.provenance import InputRef
from em2cryo_assets.store.publish import Store

__all__ = ["Settings", "Study", "StudyResource", "open_study", "study_folder"]


_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {"reconstruction": ("built-in", "imod", "aretomo")}


@dataclass(frozen=True)
class Settings:
    """What the owner of a study may set, in ``study.toml`` of the data folder.

    Parameters
    ----------
    seed : int
        Seed of everything random in the study.
    fused_voxel_nm : float
        Voxel side of fused volumes, nm. 40 nm keeps a 5 µm cell near 130³ voxels (9 MB a layer).
    fused_megavoxels : int
        Most voxels of one fused volume, millions; 1,074 are 1,024³. What would be larger is refused.
    fused_memory_gb : float
        Most memory that a fused volume and the features of its cell may take, GB.
    realisations : int
        Random organelle arrangements that the uncertainty of a fused volume summarises.
    pairs_per_tomogram : int
        Cells drawn at random for each tomogram; pairs are not replicates, so more add little.
    simulated_cells : int
        Cells of known truth that the study keeps to try estimators on; about 1.5 s each.
    calibration_studies : int
        Simulated studies for each known answer by which verdicts are tried; some 1.5 s each, once for a study's size.
    segmenter : str
        What outlines cells in SEM fields: ``network``, ``regions`` (no training), or a plug-in's name
        (`sem.segmenters`).
    section_labeller : str
        What labels TEM sections that no person has labelled: ``network``, ``levels`` (no training), or a plug-in's
        name (`tem.section_labellers`).
    tomogram_labeller : str
        What labels slabs in tomograms that no person has labelled: ``network``, ``layers`` (no training), or a plug-in's
        name (`cryoet.tomogram_labellers`).
    reconstruction : str
        What reconstructs tilt series: ``built-in``, or ``imod`` or ``aretomo`` where the user has it.
    """

    seed: int = 20_260
    fused_voxel_nm: float = 40.0
    fused_megavoxels: int = 1_100
    fused_memory_gb: float = 3.0
    realisations: int = 20
    pairs_per_tomogram: int = 5
    simulated_cells: int = 6
    calibration_studies: int = 20
    segmenter: str = "network"
    section_labeller: str = "network"
    tomogram_labeller: str = "network"
    reconstruction: str = "built-in"

    def ref(self, stage: str, names: tuple[str, ...]) -> InputRef:
        """The settings that a stage depends on, as one of its inputs."""
        chosen = {name: getattr(self, name) for name in names}
        digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()
        return InputRef("settings", stage, digest)


@dataclass(frozen=True)
class Study:
    """Paths, settings and artifacts of one study.

    Parameters
    ----------
    root : pathlib.Path
        The data folder, absolute.
    settings : Settings
        What ``study.toml`` says, else the defaults.
    """

    root: Path
    settings: Settings

    @property
    def inbox(self) -> Inbox:
        """Raw files."""
        return Inbox(self.root / "inbox")

    @property
    def store(self) -> Store:
        """Computed artifacts."""
        return Store(self.root / "store")

    @property
    def dagster_home(self) -> Path:
        """Where Dagster keeps its runs and events for this study."""
        return self.root / "dagster_home"

    @property
    def report(self) -> Path:
        """Folder of the report; open ``index.html`` in it."""
        return self.root / "report"

    def parameters(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Those settings as they are recorded in provenance."""
        everything = asdict(self.settings)
        return {name: everything[name] for name in names}


def study_folder() -> Path:
    """The data folder that ``EM2CRYO_DATA`` names, else ``data`` where the command runs."""
    return Path(os.environ.get("EM2CRYO_DATA") or "data").resolve()


def open_study(root: Path | None = None) -> Study:
    """Open a study; make what is missing of its folders and of Dagster's settings.

    Parameters
    ----------
    root : pathlib.Path, optional
        Data folder; `study_folder` if not given.

    Raises
    ------
    InputError
        If ``study.toml`` cannot be read or sets something unknown or impossible, or ``EM2CRYO_POSTGRES`` does not fit.
    """
    root = study_folder() if root is None else Path(root).resolve()
    for folder in (*(root / "inbox" / kind for kind in KINDS), root / "store", root / "dagster_home"):
        folder.mkdir(parents=True, exist_ok=True)
    write_settings(root / "dagster_home")
    return Study(root, _read_settings(root / "study.toml"))


class StudyResource(dg.ConfigurableResource["Study"]):
    """The study that the assets of this code location work on.

    Parameters
    ----------
    data : str
        Data folder; empty means what ``EM2CRYO_DATA`` names, else ``data``.
    """

    data: str = ""

    def open(self) -> Study:
        """Open the study, with the settings as they are now."""
        return open_study(Path(self.data) if self.data else None)


def _read_settings(path: Path) -> Settings:
    if not path.is_file():
        return Settings()
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(path, f"it is not TOML ({error}).", "correct that line or delete the file.") from error
    kinds: dict[str, Any] = {field.name: type(field.default) for field in fields(Settings)}
    for name, value in given.items():
        if name not in kinds:
            raise InputError(path, f"{name!r} is not a setting.", f"known are {', '.join(kinds)}.")
        if kinds[name] is str:
            if not isinstance(value, str) or not value.strip():
                raise InputError(path, f"{name} = {value!r} is not possible.", "give a name in quotes.")
            if name in _CHOICES and value not in _CHOICES[name]:
                raise InputError(path, f"{name} = {value!r} is not known.", f"use one of {', '.join(_CHOICES[name])}.")
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value < (0 if name == "seed" else 1) or (kinds[name] is int and value != int(value)):
            raise InputError(path, f"{name} = {value!r} is not possible.", f"give a positive {kinds[name].__name__}.")
    return Settings(**{name: kinds[name](value) for name, value in given.items()})
