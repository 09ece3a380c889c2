"""Products are made faster only where they stay as exact as float32."""

import logging

import pytest
import torch

from lm_plugins import matmul_precision
from lm_plugins.matmul_precision import medium_is_exact, relative_error, set_matmul_precision


@pytest.fixture(autouse=True)
def fresh():
    """Start without a measurement, and restore PyTorch's setting."""
    before, rnn = torch.get_float32_matmul_precision(), torch.backends.cudnn.rnn.fp32_precision
    medium_is_exact.cache_clear()
    yield
    medium_is_exact.cache_clear()
    torch.set_float32_matmul_precision(before)
    torch.backends.cudnn.rnn.fp32_precision = rnn


@pytest.mark.parametrize("error, chosen", [(1e-7, "medium"), (2e-3, "high")])
def test_auto_depends_on_the_measured_error(error, chosen, monkeypatch, caplog):
    monkeypatch.setattr(matmul_precision, "relative_error", lambda: error)
    torch.set_float32_matmul_precision("high")
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            set_matmul_precision("auto", on_cpu=True)
    assert torch.get_float32_matmul_precision() == chosen
    assert caplog.text.count("relative error of 1.0e-07") == (chosen == "medium")


def test_auto_leaves_the_precision_of_a_gpu_to_the_user():
    torch.set_float32_matmul_precision("high")
    set_matmul_precision("auto", on_cpu=False)
    assert torch.get_float32_matmul_precision() == "high"


@pytest.mark.parametrize("on_cpu", [True, False])
def test_another_choice_is_set(on_cpu):
    set_matmul_precision("high", on_cpu)
    assert torch.get_float32_matmul_precision() == "high"


@pytest.mark.parametrize("choice, lstm", [("auto", "ieee"), ("highest", "ieee"), ("high", "tf32")])
def test_lstms_on_a_gpu_have_the_precision_of_matrix_products(choice, lstm):
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.rnn.fp32_precision = "tf32"  # cuDNN's default
    set_matmul_precision(choice, on_cpu=False)
    assert torch.backends.cudnn.rnn.fp32_precision == lstm


def test_here_too_the_error_is_that_of_float32():
    set_matmul_precision("auto", on_cpu=True)
    assert relative_error() < matmul_precision.EXACT
