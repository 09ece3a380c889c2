"""Models of an architecture without a corpus."""

import functools

from fairseq import options, tasks
from fairseq.data import Dictionary
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.models import build_model
from omegaconf import DictConfig, OmegaConf

from lm_plugins.models.recurrent_language_model import RecurrentLanguageModel


class Task(tasks.FairseqTask):
    """What a model asks its task for: a dictionary of `size` symbols."""

    def __init__(self, size: int) -> None:
        self.symbols = Dictionary()
        while len(self.symbols) < size:
            self.symbols.add_symbol(f"w{len(self.symbols)}")

    @property
    def source_dictionary(self) -> Dictionary:
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
