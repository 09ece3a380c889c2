"""The base class of all recurrent language models."""

import os
from argparse import ArgumentParser, BooleanOptionalAction
from dataclasses import fields
from itertools import pairwise

from fairseq.checkpoint_utils import get_maybe_sharded_checkpoint_filename
from fairseq.dataclass import FairseqDataclass
from fairseq.file_utils import load_archive_file
from fairseq.hub_utils import GeneratorHubInterface
from fairseq.models import FairseqLanguageModel
from fairseq.tasks import FairseqTask
from omegaconf import DictConfig, open_dict

from lm_plugins.checkpoint_contents import read_own_checkpoint
from lm_plugins.checkpoints import safe_loading
from lm_plugins.errors import Refused
from lm_plugins.flags import flag_of
from lm_plugins.models.decoder_config import RecurrentDecoderConfig, layer_sizes
from lm_plugins.models.recurrent_decoder import RecurrentDecoder
from lm_plugins.modules.recurrent_layer import RecurrentLayer

RENAMED = {"window": "qrnn_window"}  # options, as older checkpoints of ours name them


class RecurrentLanguageModel(FairseqLanguageModel):
    """A language model that consists of a decoder.

    A subclass sets `config`, the dataclass of its options, and builds a layer in :meth:`build_layer`.
    """

    config: type[FairseqDataclass] | None = None

    @classmethod
    def add_args(cls, parser: ArgumentParser) -> None:
        """Add the model's options to `parser`.

        ``--option`` switches a boolean option on, and ``--no-option`` off.
        """
        # For an option that is on by default, fairseq makes a flag of the same name that switches it off.
        for option in fields(cls.config) if cls.config else ():
            if option.type is bool and isinstance(option.default, bool):  # not a link to fairseq's option
                flag, text = flag_of(option.name), option.metadata.get("help")
                parser.add_argument(flag, action=BooleanOptionalAction, help=text)
        super().add_args(parser)

    @classmethod
    def build_layer(cls, cfg: RecurrentDecoderConfig, index: int, n_in: int, n_out: int) -> RecurrentLayer:
        """Return layer `index`, counted from 0, with `n_in` inputs and `n_out` units."""
        raise NotImplementedError

    @classmethod
    def build_model(cls, cfg: RecurrentDecoderConfig, task: FairseqTask) -> "RecurrentLanguageModel":
        """Return the model of `cfg` for the dictionary of `task`."""
        sizes = enumerate(pairwise(layer_sizes(cfg)))
        layers = [cls.build_layer(cfg, index, n_in, n_out) for index, (n_in, n_out) in sizes]
        return cls(RecurrentDecoder(cfg, task.source_dictionary, layers))

    @classmethod
    def from_pretrained(
        cls,
        model_name_or_path: str,
        checkpoint_file: str = "model.pt",
        data_name_or_path: str = ".",
        **kwargs: object,
    ) -> GeneratorHubInterface:
        """Return fairseq's hub interface, which encodes text in the same units as the corpus.

        Args:
            model_name_or_path: a folder, or an archive of one
            checkpoint_file: the name of a checkpoint in it; several, separated by colons, are an ensemble
            data_name_or_path: the data folder

        Raises:
            Refused: a checkpoint cannot be read safely, or holds another model
        """
        with safe_loading():
            folder = load_archive_file(model_name_or_path)
            if folder is None:
                raise Refused(f"there is no {model_name_or_path}: give the folder of a checkpoint")
            for name in checkpoint_file.split(os.pathsep):
                path = os.path.join(folder, name)
                read_own_checkpoint(get_maybe_sharded_checkpoint_filename(path, "", 0, 1))
            interface = super().from_pretrained(folder, checkpoint_file, data_name_or_path, **kwargs)
        interface.bpe = interface.task.build_bpe(interface.cfg.bpe)
        return interface


def upgrade_config(cfg: DictConfig) -> None:
    """Rename, in place, the options in a checkpoint's `cfg` that had another name when it was written."""
    with open_dict(cfg):
        for old, new in RENAMED.items():
            if old in cfg:
                cfg[new] = cfg.pop(old)
