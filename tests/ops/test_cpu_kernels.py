"""The library of compiled kernels: which one is used, and what is said where there is none."""

import pytest
import torch

from lm_plugins.ops import cpu_kernels, cpu_sources
from tests.kernels import needs_compiler


@pytest.fixture(autouse=True)
def anew():
    cpu_kernels.library.cache_clear()
    yield
    cpu_kernels.library.cache_clear()


def test_a_library_of_another_source_is_not_used(monkeypatch, caplog):
    monkeypatch.setattr(cpu_kernels, "digest", lambda: "another")
    assert cpu_kernels.library() is None and cpu_kernels.library() is None
    assert [record.message for record in caplog.records] == [cpu_kernels.MISSING]  # said once
    assert not cpu_kernels.serves(torch.zeros(1))


def test_a_file_that_is_no_library_is_passed_over(monkeypatch, tmp_path, caplog):
    (tmp_path / "_cpu.so").write_text("of another machine")
    monkeypatch.setattr(cpu_kernels, "FOLDER", tmp_path)
    assert cpu_kernels.library() is None and "missing or out of date" in caplog.text


def test_every_source_counts_and_nothing_else(tmp_path):
    digests = []
    for name in ("cpu.h", "one/cpu.cpp", "two/cpu.cpp", "two/cpu.cpp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).open("a").write("code")
        digests.append(cpu_sources.digest(tmp_path))
    (tmp_path / "two/__pycache__").mkdir()
    for name in ("two/cpu.py", "two/__pycache__/cpu.cpython-311.pyc", "two/cpu.cpp~", "two/cpu.c"):
        (tmp_path / name).write_bytes(b"\xa7")
    assert len(set(digests)) == 4 and cpu_sources.digest(tmp_path) == digests[-1]
    assert cpu_sources.sources(tmp_path) == ["cpu.h", "one/cpu.cpp", "two/cpu.cpp"]


@needs_compiler
def test_the_library_is_there_wherever_it_can_be_built():
    assert cpu_kernels.library() is not None, cpu_kernels.MISSING


@needs_compiler
def test_which_tensors_are_served():
    single, double = torch.zeros(2), torch.zeros(2, dtype=torch.float64)
    assert cpu_kernels.serves(single, single) and cpu_kernels.serves(double)
    for tensors in ((single, double), (single.half(),), (single.bfloat16(),), (single.to("meta"),)):
        assert not cpu_kernels.serves(*tensors)
