"""Which implementation of an op runs."""

import pytest
import torch

from lm_plugins.ops.dispatch import choose

CHECKS = {"fast": lambda: "no compiler", "slow": lambda: None, "naive": None}


def never():
    raise AssertionError("checked without need")


def test_the_first_that_supports_the_call_runs():
    assert choose("op", None, CHECKS) == "slow"
    assert choose("op", None, {"fast": lambda: None, "slow": never}) == "fast"


def test_the_one_that_is_asked_for_runs():
    assert choose("op", "naive", {**CHECKS, "fast": never}) == "naive"
    assert choose("op", "slow", CHECKS) == "slow"


def test_what_is_asked_for_and_cannot_run_is_refused():
    with pytest.raises(RuntimeError, match="op with impl 'fast': no compiler"):
        choose("op", "fast", CHECKS)
    with pytest.raises(ValueError, match="op has no impl 'quick': choose from fast, slow, naive"):
        choose("op", "quick", CHECKS)


def test_a_traced_model_runs_no_kernel(monkeypatch):
    """torch.export cannot look into kernels, nor into packed sequences."""
    assert choose("op", None, {"cpu": None, "torch": None, "naive": None}) == "cpu"
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    assert choose("op", None, {"cpu": None, "torch": None, "naive": None}) == "torch"
    assert choose("op", None, {"torch": None, "loop": None, "naive": None}) == "loop"
    assert choose("op", "cpu", {"cpu": None, "torch": None}) == "cpu"
