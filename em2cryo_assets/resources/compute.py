"""What computes: a dask scheduler for volumes and batches, and a torch device.

Belongs here: turning one line of configuration into a dask client or a device.
Does not belong here: what is computed, or in which order (`automation.batches`).
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import dagster as dg

__all__ = ["ComputeResource", "compute_from_environment"]

_THREADS = "threads"
_PROCESSES = "processes"


class ComputeResource(dg.ConfigurableResource["ComputeResource"]):
    """Where dask and torch work.

    Parameters
    ----------
    scheduler : str
        ``threads`` (this process), ``processes`` or ``processes:N`` (a local cluster of N
        single-threaded worker processes), or the address of any dask scheduler (``tcp://…``).
    device : str
        ``auto`` (CUDA if there is one), ``cpu`` or ``cuda:N``.
    """

    scheduler: str = _THREADS
    device: str = "auto"

    def torch_device(self) -> str:
        """The device that torch is to use, asked for where it is used and never at import.

        Raises
        ------
        ValueError
            If a CUDA device is asked for and torch sees none.
        """
        if self.device == "cpu":
            return "cpu"
        import torch

        found = torch.cuda.is_available()
        if self.device == "auto":
            return "cuda:0" if found else "cpu"
        if not found:
            raise ValueError(f"device = {self.device!r}, but torch sees no CUDA device; set EM2CRYO_DEVICE=cpu.")
        return self.device

    def workers(self) -> int:
        """Number of worker processes to start; none with ``threads`` or the address of a scheduler.

        Raises
        ------
        ValueError
            If ``scheduler`` is none of the documented forms.
        """
        if self.scheduler == _THREADS or "://" in self.scheduler:
            return 0
        name, colon, count = self.scheduler.partition(":")
        if name == _PROCESSES and not colon:
            return len(os.sched_getaffinity(0))
        if name != _PROCESSES or not (count.isascii() and count.isdigit()) or int(count) == 0:
            raise ValueError(
                f"scheduler = {self.scheduler!r} is not understood; use threads, processes, processes:N or tcp://…"
            )
        return int(count)

    @contextlib.contextmanager
    def client(self) -> Iterator[Any | None]:
        """A dask client for batches of keys; None with ``threads`` (batches then run in this process).

        Raises
        ------
        ValueError
            If ``scheduler`` is none of the documented forms.
        """
        if not self.workers() and "://" not in self.scheduler:
            yield None
            return
        from distributed import Client, LocalCluster

        if "://" in self.scheduler:
            with Client(self.scheduler) as client:
                yield client
            return
        # One thread a worker: Dagster's in-process runs deadlock when two share a process. Port 0 is any free port;
        # without an address, dask would take its usual one and complain where another study has it.
        with (
            LocalCluster(
                n_workers=self.workers(),
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client

    @contextlib.contextmanager
    def arrays(self) -> Iterator[None]:
        """Compute dask arrays in this process's threads inside the block.

        A worker of a batch has one thread to itself; spreading its chunks over the cluster that
        runs the batch would deadlock it once every worker waits.
        """
        import dask

        with dask.config.set(scheduler=_THREADS):
            yield


def compute_from_environment() -> ComputeResource:
    """Compute as ``EM2CRYO_COMPUTE`` and ``EM2CRYO_DEVICE`` say, else threads and auto."""
    return ComputeResource(
        scheduler=os.environ.get("EM2CRYO_COMPUTE") or _THREADS, device=os.environ.get("EM2CRYO_DEVICE") or "auto"
    )
