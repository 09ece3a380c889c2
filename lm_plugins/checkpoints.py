"""Checkpoints are loaded without running any code that they may hold.

``torch.load`` unpickles; a pickle can run anything. torch >= 2.6 refuses all but tensors and plain
types by default, but fairseq's main branch asks for the unsafe form. Here the safe form is forced,
and the few plain containers that fairseq itself writes are allowed: its configuration (omegaconf),
and the placeholders with which rank 0 sends a checkpoint to the other ranks when a run resumes.
"""

import argparse
import collections
import os
import typing

import torch
from fairseq.distributed.utils import _TensorPlaceholder
from omegaconf import DictConfig, ListConfig
from omegaconf.base import ContainerMetadata, Metadata
from omegaconf.nodes import AnyNode

PLAIN_TYPES = [
    argparse.Namespace,
    collections.defaultdict,
    collections.OrderedDict,
    dict,
    int,
    list,
    typing.Any,
    DictConfig,
    ListConfig,
    ContainerMetadata,
    Metadata,
    AnyNode,
    _TensorPlaceholder,
]


def force_safe_loading():
    """Makes every ``torch.load`` of this process refuse what is not in :data:`PLAIN_TYPES`."""
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    torch.serialization.add_safe_globals(PLAIN_TYPES)
