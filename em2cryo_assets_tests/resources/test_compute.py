"""One line of configuration is a place to compute, or is refused."""

import os

import pytest

from em2cryo_assets.resources.compute import ComputeResource, compute_from_environment


def test_threads_need_no_cluster() -> None:
    with ComputeResource().client() as client:
        assert client is None


def test_worker_processes_really_run() -> None:
    with ComputeResource(scheduler="processes:2").client() as client:
        assert client is not None
        pids = set(client.run(os.getpid).values())
        assert len(pids) == 2
        assert os.getpid() not in pids
        assert client.nthreads() == dict.fromkeys(client.nthreads(), 1)  # two runs in one process would deadlock
        assert client.submit(pow, 2, 10).result() == 1024


def test_processes_without_a_number_are_one_a_core() -> None:
    assert ComputeResource(scheduler="processes").workers() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("bad", ["", "thread", "processes:0", "processes:", "processes:two", "processes:²", "tcp:x"])
def test_other_words_are_refused_with_the_choices(bad: str) -> None:
    with (
        pytest.raises(ValueError, match="use threads, processes, processes:N or tcp"),
        ComputeResource(scheduler=bad).client(),
    ):
        pass


def test_arrays_are_computed_in_this_process_whatever_the_scheduler() -> None:
    import dask

    with ComputeResource(scheduler="processes:2").arrays():
        assert dask.config.get("scheduler") == "threads"


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EM2CRYO_COMPUTE", "processes:3")
    monkeypatch.setenv("EM2CRYO_DEVICE", "cpu")
    assert compute_from_environment() == ComputeResource(scheduler="processes:3", device="cpu")
    monkeypatch.setenv("EM2CRYO_COMPUTE", "")
    monkeypatch.delenv("EM2CRYO_DEVICE")
    assert compute_from_environment() == ComputeResource(scheduler="threads", device="auto")


def test_a_gpu_that_is_not_there_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert ComputeResource(device="auto").torch_device() == "cpu"
    with pytest.raises(ValueError, match="EM2CRYO_DEVICE=cpu"):
        ComputeResource(device="cuda:0").torch_device()
