"""How an architecture is declared: its name, and what differs from the model's dataclass."""

from fairseq import utils
from fairseq.dataclass.utils import merge_with_parent
from fairseq.models import register_model_architecture
from omegaconf import DictConfig


def arch(model_name, arch_name, **sizes):
    """Registers ``--arch arch_name``: `sizes` fill in what the user did not give."""

    def fill(args):
        for name, value in sizes.items():
            if utils.safe_getattr(args, name, None) is None:
                setattr(args, name, value)

    register_model_architecture(model_name, arch_name)(fill)


def complete(cfg, dataclass):
    """`cfg` with the dataclass's defaults, which fairseq leaves out for an arch named in a YAML file."""
    return merge_with_parent(dataclass(), cfg) if isinstance(cfg, DictConfig) else cfg
