"""Fixtures: fairseq's programs on pretended GPUs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.gpu_runs import SMALL, OnGPU, Server
from tests.helpers.pretended_gpu import guard


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the compiled guard; without a compiler the tests are skipped."""
    path = tmp_path_factory.mktemp("guard") / "guard.so"
    try:
        guard.build(path)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return path


def serving(library: Path, folder: Path, gpus: int) -> Iterator[Server]:
    """Yield a server of `gpus` GPUs, and end it."""
    one = Server(library, folder, gpus)
    yield one
    one.close()


@pytest.fixture(scope="session")
def gpu(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a function that runs a program of fairseq on a machine with one GPU."""
    yield from serving(library, tmp_path_factory.mktemp("gpu"), 1)


@pytest.fixture(scope="session")
def two_gpus(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a function that runs a program of fairseq on a machine with two GPUs."""
    yield from serving(library, tmp_path_factory.mktemp("two_gpus"), 2)


@pytest.fixture
def train(gpu: Server, data_bin: Path, tmp_path: Path) -> Callable[..., OnGPU]:
    """Return a function that trains a small model for four updates on one GPU."""

    def run(arch: str, *flags: object, **named: Any) -> OnGPU:
        return gpu("train", data_bin, "--arch", arch, *SMALL, "--save-dir", tmp_path / "run", *flags, **named)

    return run
