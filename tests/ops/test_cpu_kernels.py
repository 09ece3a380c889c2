"""The library of compiled kernels: which one is used, and what is logged where there is none."""

import ctypes
import importlib
import re

import pytest
import torch

from lm_plugins.ops import cpu_kernels, cpu_sources
from lm_plugins.ops.cpu_kernels import BFLOAT16, BOOL, DOUBLE, INT, INT64, REAL, Kernel
from tests.helpers.kernels import needs_compiler

OPS = ("dropout", "fo_pooling", "linear_cross_entropy")


@pytest.fixture(autouse=True)
def forget_the_library():
    cpu_kernels.library.cache_clear()
    yield
    cpu_kernels.library.cache_clear()


def test_a_library_of_another_source_is_not_used(monkeypatch, caplog):
    monkeypatch.setattr(cpu_kernels, "digest", lambda: "another")
    assert cpu_kernels.library() is None and cpu_kernels.library() is None
    assert [record.message for record in caplog.records] == [cpu_kernels.MISSING]  # once
    assert cpu_kernels.why_unsupported(torch.zeros(1)) == cpu_kernels.MISSING


def test_a_file_that_is_not_a_library_is_skipped(monkeypatch, tmp_path, caplog):
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
def test_which_tensors_are_supported():
    single, double = torch.zeros(2), torch.zeros(2, dtype=torch.float64)
    assert cpu_kernels.why_unsupported(single, single) is None is cpu_kernels.why_unsupported(double)
    for tensors in ((single, double), (single.half(),), (single.bfloat16(),), (single.to("meta"),)):
        assert "float32 or float64, on a CPU" in cpu_kernels.why_unsupported(*tensors)


def declared(source):
    """Return {name: argtypes} of the C functions in a source, except for the number of threads."""
    fixed = {"uint8_t*": BOOL, "int64_t*": INT64, "int64_t": INT, "double": DOUBLE}
    kinds = {"float": REAL, "double": REAL, "bfloat16": BFLOAT16}
    parameters, *calls = re.findall(r"FUNCTIONS_FOR\((.*?)\)", source)
    functions = re.findall(r'extern "C" void (\w+)_##\w+\((.*?)\)\s*\{', source, re.DOTALL)
    for call in calls:
        suffix, *_ = values = call.split(", ")
        types = fixed | {
            f"{name}*": kinds.get(value) for name, value in zip(parameters.split(", "), values, strict=True)
        }
        for name, arguments in functions:
            threads, *others = [
                part.replace("const ", "").split() for part in arguments.replace("\\", "").split(",")
            ]
            assert threads == ["int", "threads"]
            yield f"{name}_{suffix}".rpartition("_")[0], tuple(types[kind] for kind, _ in others)


def test_the_types_of_arguments_are_those_of_the_sources():
    sources = cpu_sources.FOLDER.glob("*/cpu.cpp")
    expected = dict(pair for path in sources for pair in declared(path.read_text()))
    modules = [importlib.import_module(f"lm_plugins.ops.{name}.cpu") for name in OPS]
    kernels = [value for module in modules for value in vars(module).values() if isinstance(value, Kernel)]
    assert {kernel.name: kernel.argtypes for kernel in kernels} == expected and len(expected) == 9


@needs_compiler
def test_arguments_of_another_type_are_refused():
    x, y = torch.zeros(3), torch.zeros(3)
    kernel = Kernel("dropout", REAL, INT, INT, INT, DOUBLE, REAL)
    for wrong in ((x.double(), 3, 1, 1, 1.0, y), (x, 3.0, 1, 1, 1.0, y), (x, 3, 1, 1, "1", y), (x, 3, 1, 1)):
        with pytest.raises((ctypes.ArgumentError, TypeError)):
            kernel(torch.float32, *wrong)
    kernel(torch.float32, x, 3, 1, 1, 1, y)  # an integer becomes a double
