"""Models of an architecture without a corpus."""

import functools
from collections.abc import Sequence

import torch
from fairseq import options, tasks
from fairseq.data import Dictionary
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.models import build_model
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from lm_plugins.models.recurrent_language_model import RecurrentLanguageModel

SIZE = 11  # symbols of a tiny model's dictionary
TINY = ("--decoder-embed-dim", "6", "--decoder-hidden-size", "8", "--decoder-layers", "3")


class Task(tasks.FairseqTask):
    """What a model asks its task for: a dictionary of `size` symbols."""

    def __init__(self, size: int) -> None:
        self.symbols = Dictionary()
        while len(self.symbols) < size:
            self.symbols.add_symbol(f"w{len(self.symbols)}")

    @property
    def source_dictionary(self) -> Dictionary:
        """Return the dictionary."""
        return self.symbols


@functools.cache
def config(arch: str, *flags: str) -> DictConfig:
    """Return the model's section of fairseq's configuration; read-only, because tests share it."""
    parser = options.get_training_parser()
    task = ("--task", "recurrent_language_modeling", "--criterion", "lm_cross_entropy")
    optimizer = ("--optimizer", "adam", "--batch-size", "2")
    args = options.parse_args_and_arch(parser, ["data", "--arch", arch, *task, *optimizer, *flags])
    model = convert_namespace_to_omegaconf(args).model
    OmegaConf.set_readonly(model, True)
    return model


def build(arch: str, size: int, *flags: str) -> RecurrentLanguageModel:
    """Return the model of `arch` with `flags` for a dictionary of `size` symbols."""
    return build_model(config(arch, *flags), Task(size))


def tiny(arch: str, *flags: str) -> RecurrentLanguageModel:
    """Return a tiny model of `arch` with `flags` in float64, the same for each call."""
    torch.manual_seed(3)
    return build(arch, SIZE, *TINY, *flags).double()


def windows(
    model: RecurrentLanguageModel, text: Tensor, sizes: Sequence[int], stream: str = "valid", first: int = 0
) -> Tensor:
    """Return ln p of every token of `text`, [B, T], but the first, [B, T - 1], read in windows of `sizes`."""
    source, target, start, result = text[:, :-1], text[:, 1:], 0, []
    for step, size in enumerate(sizes):
        window = slice(start, start + size)
        out, _ = model(source[:, window], target=target[:, window], stream=stream, step=first + step)
        result.append(out.squeeze(-1))
        start += size
    return torch.cat(result, dim=1)
