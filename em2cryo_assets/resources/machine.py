"""Whether this machine can do the work: packages, device, what computes, the database of runs.

Belongs here: looking at what is installed and reachable. Does not belong here: the study itself
(`resources.study_health`), choosing a device or a scheduler (`resources.compute`).
"""

import importlib
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from packaging.requirements import Requirement

from em2cryo_assets.resources.compute import ComputeResource
from em2cryo_assets.resources.dagster_home import POSTGRES, DatabaseError, reach_database
from em2cryo_assets.resources.findings import Finding, note, ok, problem, problem_from

__all__ = ["database", "device", "extras", "for_developers", "needed", "packages", "scheduler"]

_DISTRIBUTION: Final = "em2cryo-assets"
_SHOWN: Final = ("dagster", "dask", "numpy", "open3d", "open3d-cpu", "scikit-image", "scipy", "torch", "zarr")
_COMPILED: Final = {"torch": "torch", "open3d": "open3d-cpu", "zarr": "zarr", "skimage": "scikit-image"}
"""Modules that fail to load where a system library is missing, and their packages."""

_USES: Final = {
    "vendor-formats": "DM3, DM4, SER and EMD files",
    "postgres": "runs kept in Postgres",
    "portal": "em2cryo add portal",
    "viewers": "em2cryo view",
}
_SECONDS: Final = 5


def packages(requirements: list[str] | None = None) -> Iterator[Finding]:
    """Every package that EM2Cryo needs: whether it is there, recent enough, and can be loaded.

    Parameters
    ----------
    requirements : list of str, optional
        As of ``setup.cfg``; those of the installed package if not given.
    """
    wanted = needed(requirements)
    wrong = [text for one in wanted if (text := _wrong(one))]
    if wrong:
        yield problem("packages", "; ".join(wrong) + ".", f"pip install --upgrade {_DISTRIBUTION}")
    broken = [(name, text) for name in _COMPILED if (text := _cannot_load(name))]
    for name, text in broken:
        yield problem(
            "packages",
            f"{name} is installed and cannot be loaded: {text}",
            "sudo apt-get install -y libusb-1.0-0 libgl1 libegl1 libx11-6 libgomp1; if that was not it: "
            f"pip install --force-reinstall {_COMPILED[name]}",
        )
    if not wrong and not broken:
        names = {one.name for one in wanted}
        said = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _SHOWN if name in names)
        own = importlib.metadata.version(_DISTRIBUTION)
        yield ok("packages", f"EM2Cryo {own} on Python {platform.python_version()}; {said}.")


def needed(requirements: list[str] | None = None) -> list[Requirement]:
    """What must be installed on this machine, without the extras. `requirements` are as for `packages`."""
    return [one for one in _requirements(requirements) if _applies(one, "")]


def extras(requirements: list[str] | None = None) -> Iterator[Finding]:
    """Optional parts: present, or how to get them. `requirements` are as for `packages`."""
    listed = _requirements(requirements)
    for name, use in _USES.items():
        own = [one for one in listed if one.marker is not None and _applies(one, name) and not _applies(one, "")]
        wrong = [text for one in own if (text := _wrong(one))]
        if not own:
            continue
        if wrong:
            yield note(f"extra {name}", f"not installed; only {use} need it.", f"pip install '{_DISTRIBUTION}[{name}]'")
        else:
            yield ok(f"extra {name}", f"installed: {use}.")


def for_developers() -> Finding:
    """Chromium: nobody who only studies cells needs it."""
    where = shutil.which("chromium")
    found = f"found at {where}" if where else "not installed, and not needed"
    return ok("chromium", f"{found}: only make screenshots and the browser tests use it.")


def device(compute: ComputeResource) -> Finding:
    """What torch computes on, and why; tried with one number."""
    remedy = "export EM2CRYO_DEVICE=cpu, or cuda:0 where there is a graphics card that torch was built for"
    try:
        import torch

        name = compute.torch_device()
        torch.ones(1, device=name).sum().item()
    except (ImportError, ValueError, RuntimeError, AssertionError) as error:
        said = str(error).splitlines()[0]
        return problem("device", f"EM2CRYO_DEVICE is {compute.device!r}, and torch cannot use it: {said}", remedy)
    if compute.device != "auto":
        return ok("device", f"{name}, as EM2CRYO_DEVICE says.")
    why = "torch sees a CUDA device" if name != "cpu" else "torch sees no CUDA device"
    return ok("device", f"{name}, chosen as {why} (EM2CRYO_DEVICE is auto).")


def scheduler(compute: ComputeResource) -> Finding:
    """Whether what EM2CRYO_COMPUTE names can be used; an address is asked for its workers."""
    try:
        workers = compute.workers()
    except ValueError as error:
        return problem("compute", f"EM2CRYO_COMPUTE: {error}", "export EM2CRYO_COMPUTE=processes")
    if "://" in compute.scheduler:
        return _ask(compute.scheduler)
    cores = len(os.sched_getaffinity(0))
    if not workers:
        return ok("compute", f"threads: one run after another in one process ({cores} cores here).")
    if workers > cores:
        return note(
            "compute",
            f"{workers} processes on {cores} cores get in each other's way.",
            "export EM2CRYO_COMPUTE=processes",
        )
    return ok("compute", f"{workers} processes on {cores} cores.")


def database() -> Finding:
    """Where runs and events are kept, and whether that can be reached; a password is never shown."""
    if not os.environ.get(POSTGRES):
        return ok("runs", f"kept in SQLite in the study's folder ({POSTGRES} is not set).")
    try:
        where = reach_database(_SECONDS)
    except (DatabaseError, ValueError) as error:
        return problem_from("runs", str(error), f"or unset {POSTGRES} to keep the runs in the study's folder")
    return ok("runs", f"kept in Postgres at {where}, which answers.")


def _ask(address: str) -> Finding:
    """Ask a dask scheduler for its workers."""
    from distributed import Client

    shown = urlsplit(address)._replace(query="").geturl()
    try:
        with Client(address, timeout=_SECONDS, set_as_default=False) as client:
            found = client.scheduler_info(n_workers=-1)["workers"]
    except (OSError, ValueError) as error:
        said = str(error).splitlines()[0]
        return problem(
            "compute",
            f"no dask scheduler answers at {shown}: {said}",
            "start it (dask scheduler), or export EM2CRYO_COMPUTE=processes",
        )
    start = f"dask worker {shown} --nworkers 2 --nthreads 1"
    if not found:
        return problem("compute", f"the dask scheduler at {shown} has no worker.", start)
    wide = sum(one["nthreads"] > 1 for one in found.values())
    if wide:  # Dagster's runs deadlock when two share a process
        return problem("compute", f"{wide} of {len(found)} dask workers at {shown} have more than one thread.", start)
    return ok("compute", f"the dask scheduler at {shown} answers, with {len(found)} workers.")


def _requirements(given: list[str] | None) -> list[Requirement]:
    texts = (importlib.metadata.requires(_DISTRIBUTION) or []) if given is None else given
    return [Requirement(text) for text in texts]


def _applies(one: Requirement, extra: str) -> bool:
    return one.marker is None or one.marker.evaluate({"extra": extra})


def _wrong(one: Requirement) -> str:
    """What is wrong with an installed package; empty if nothing is."""
    try:
        found = importlib.metadata.version(one.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{one.name} is not installed"
    fits = one.specifier.contains(found, prereleases=True)
    return "" if fits else f"{one.name} {found} is installed, and {one.specifier} is needed"


def _cannot_load(module: str) -> str:
    """First line of what a module says that cannot be loaded; nothing if it can, or is not there at all."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        return "" if error.name == module else str(error)  # told by `_wrong` already
    except (ImportError, OSError) as error:
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    return ""
