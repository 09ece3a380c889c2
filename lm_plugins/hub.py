r"""Load a trained model in Python, to score and to sample text.

from lm_plugins.hub import load

lm = load("checkpoints", "data-bin/ptb")
lm.score("the company said it will\n").log_probs
lm.sample("the company", length=50, temperature=0.8)
"""

import os

import torch

import lm_plugins  # noqa: F401  registers the models
from lm_plugins.errors import Refused
from lm_plugins.scoring.language_model import LanguageModel
from lm_plugins.tasks.loading import load_decoder

BEST = "checkpoint_best.pt"  # the checkpoint that a folder stands for


def load(
    path: str | os.PathLike, data: str | os.PathLike | None = None, device: str | torch.device = "cpu"
) -> LanguageModel:
    """Load a model from a checkpoint.

    The checkpoint cannot run code. Loading does not change the settings of the process. fairseq's programs
    set the precision of float32 matrix products (--float32-matmul); in Python,
    ``torch.set_float32_matmul_precision("medium")`` is faster on many CPUs. On a GPU, cuDNN computes LSTMs in
    TF32 by default; ``torch.backends.cudnn.allow_tf32 = False`` gives them the float32 of fairseq-eval-lm.

    Args:
        path: a checkpoint, or a folder that holds a checkpoint_best.pt
        data: folder with the dict.txt of the training data; None: the folder that the checkpoint names
        device: where the model computes, such as "cpu" or "cuda:0"

    Raises:
        Refused: there is no such checkpoint, device or data folder, or the checkpoint does not hold a
            recurrent language model
    """
    check_device(device)
    decoder, task = load_decoder(checkpoint_file(path), data)
    return LanguageModel(decoder.to(device), task.dictionary, task.folders[0], task.level)


def checkpoint_file(path: str | os.PathLike) -> str:
    """Return the checkpoint_best.pt of a folder, or `path` itself.

    Raises:
        Refused: `path` is no path
    """
    if not isinstance(path, str | os.PathLike):
        raise Refused(f"a checkpoint is named by a str or a Path, not a {type(path).__name__}: {path!r:.60}")
    return os.path.join(path, BEST) if os.path.isdir(path) else os.fspath(path)


def check_device(device: str | torch.device) -> None:
    """Refuse a device that this machine or this torch does not have.

    Raises:
        Refused: no tensor can be created on it
    """
    try:
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError) as error:
        raise Refused(
            f"the device '{device}' cannot be used here ({str(error).splitlines()[0]}): give device='cpu', "
            "or install a torch that has it"
        ) from error


def default_device(cpu: bool) -> str:
    """Return the device of a command: "cuda", or "cpu" if `cpu` is typed or there is no GPU."""
    return "cpu" if cpu or not torch.cuda.is_available() else "cuda"
