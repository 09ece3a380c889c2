"""Products are made faster only where they stay as exact as float32."""

import logging

import pytest
import torch

from lm_plugins import matmul_precision, rescore, score
from lm_plugins.matmul_precision import medium_is_exact, relative_error, set_matmul_precision


@pytest.fixture(autouse=True)
def fresh():
    """Start without a measurement, and restore PyTorch's setting."""
    before, tf32 = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    medium_is_exact.cache_clear()
    yield
    medium_is_exact.cache_clear()
    torch.set_float32_matmul_precision(before)
    torch.backends.cudnn.allow_tf32 = tf32


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


@pytest.mark.parametrize("choice, tf32", [("auto", False), ("highest", False), ("high", True)])
def test_lstms_on_a_gpu_have_the_precision_of_matrix_products(choice, tf32):
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = True  # cuDNN's default
    set_matmul_precision(choice, on_cpu=False)
    assert torch.backends.cudnn.allow_tf32 == tf32
    assert (torch.backends.cudnn.rnn.fp32_precision == "tf32") == tf32
    with torch.backends.cudnn.flags(enabled=False):  # raises an error if the settings of cuDNN differ
        pass


@pytest.mark.parametrize("main, flags", [(score.main, ()), (rescore.main, ("--alpha", "1", "--beta", "0"))])
def test_programs_that_score_compute_lstms_as_evaluation_does(main, flags, tmp_path, monkeypatch, capsys):
    """They set the precision before they load a model, and here there is none."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = True  # cuDNN's default
    (tmp_path / "text").write_text("u1\ta b\t-1\n")
    with pytest.raises(SystemExit):
        main([str(tmp_path / "text"), "--path", str(tmp_path / "missing.pt"), *flags])
    assert capsys.readouterr().err.startswith("lm_plugins: error: ")
    assert not torch.backends.cudnn.allow_tf32


def test_here_too_the_error_is_that_of_float32():
    set_matmul_precision("auto", on_cpu=True)
    assert relative_error() < matmul_precision.EXACT
