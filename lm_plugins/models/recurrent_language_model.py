"""What the recurrent language models share, and how an architecture of one is declared."""

from argparse import BooleanOptionalAction
from dataclasses import field, fields, make_dataclass

from fairseq.models import FairseqLanguageModel, register_model

from lm_plugins.checkpoints import safe_loading


class RecurrentLanguageModel(FairseqLanguageModel):
    """A decoder alone; a subclass has its `config`, a dataclass, and builds the layers from it."""

    config = None

    @classmethod
    def add_args(cls, parser):
        # Of an option that is on, fairseq makes one that can only be switched off, under its own name.
        parser.add_argument(
            "--share-decoder-input-output-embed",
            action=BooleanOptionalAction,
            help="share one matrix between the input embedding and the output layer (awd-lstm-lm: tied)",
        )
        super().add_args(parser)

    @classmethod
    def from_pretrained(cls, *args, **kwargs):
        """Return fairseq's hub interface, which codes text of characters or pieces as the corpus was."""
        with safe_loading():
            interface = super().from_pretrained(*args, **kwargs)
        interface.bpe = interface.task.build_bpe(interface.cfg.bpe)
        return interface


def arch(model, name, **sizes):
    """Registers ``--arch name``: `model` with these defaults in place of its dataclass's.

    The architecture is a dataclass of its own, so that its defaults hold on the command line, in a
    YAML file and in a checkpoint alike, and whatever the user gives wins.
    """
    known = {f.name: f for f in fields(model.config)}
    changed = [
        (key, known[key].type, field(default=value, metadata=known[key].metadata))
        for key, value in sizes.items()
    ]
    title = "".join(part.capitalize() for part in name.split("_"))
    config = make_dataclass(f"{title}Config", changed, bases=(model.config,))
    register_model(name, dataclass=config)(type(title, (model,), {"config": config}))
