"""A language model of GRU layers."""

from dataclasses import dataclass
from itertools import pairwise

from fairseq.models import register_model
from fairseq.tasks import FairseqTask

from gru_plugin.gru_layer import GRULayer
from lm_plugins.models.recurrent_decoder import RecurrentDecoder, RecurrentDecoderConfig, layer_sizes
from lm_plugins.models.recurrent_language_model import RecurrentLanguageModel


@dataclass
class GRUConfig(RecurrentDecoderConfig):
    """The options of all recurrent language models; options of this model alone would be fields here."""


@register_model("gru", dataclass=GRUConfig)
class GRU(RecurrentLanguageModel):
    """Embedding, GRU layers and head; see :class:`RecurrentDecoder`."""

    config = GRUConfig

    @classmethod
    def build_model(cls, cfg: GRUConfig, task: FairseqTask) -> "GRU":
        layers = [
            GRULayer(n_in, n_out, weight_dropout=cfg.weight_dropout)
            for n_in, n_out in pairwise(layer_sizes(cfg))
        ]
        return cls(RecurrentDecoder(cfg, task.source_dictionary, layers))
