"""The peak memory of training on a GPU, whose statistics fairseq resets after every update."""

import torch

from lm_plugins.peak_memory import PeakMemory, peak_memory


def test_the_peak_outlives_a_reset(monkeypatch):
    device = {"peak": 1 << 30}
    statistics = {"allocated_bytes": {"all": device}}
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda.memory, "memory_stats_as_nested_dict", lambda: statistics)
    peak = PeakMemory()
    for allocated in (10, 1, 3):
        device["peak"] = allocated << 30
        peak.update()
    assert peak.gib == 10


def test_a_process_that_used_no_gpu_memory_reports_its_resident_set(monkeypatch):
    resident = peak_memory()
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    statistics = {"allocated_bytes": {"all": {"peak": 0}}}
    monkeypatch.setattr(torch.cuda.memory, "memory_stats_as_nested_dict", lambda: statistics)
    assert peak_memory() >= resident > 0.05
