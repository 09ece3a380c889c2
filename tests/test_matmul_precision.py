"""Products are only made faster where they stay as exact as float32."""

import logging

import pytest
import torch

from lm_plugins import matmul_precision
from lm_plugins.matmul_precision import relative_error, set_matmul_precision


@pytest.fixture(autouse=True)
def restored():
    yield
    torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("error, chosen", [(1e-7, "medium"), (2e-3, "highest")])
def test_auto_goes_by_what_it_measures(error, chosen, monkeypatch, caplog):
    monkeypatch.setattr(matmul_precision, "relative_error", lambda: error)
    with caplog.at_level(logging.INFO):
        set_matmul_precision("auto", on_cpu=True)
    assert torch.get_float32_matmul_precision() == chosen
    assert ("relative error of 1.0e-07" in caplog.text) == (chosen == "medium")


def test_what_is_asked_for_is_set_and_gpus_are_left_alone():
    set_matmul_precision("high", on_cpu=True)
    assert torch.get_float32_matmul_precision() == "high"
    set_matmul_precision("auto", on_cpu=False)
    assert torch.get_float32_matmul_precision() == "highest"


def test_here_too_the_error_is_that_of_float32():
    set_matmul_precision("auto", on_cpu=True)
    assert relative_error() < matmul_precision.EXACT
