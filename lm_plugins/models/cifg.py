"""The LSTM with coupled input and forget gates as a language model (Hard et al. 2018, arXiv:1811.03604)."""

from dataclasses import dataclass, field
from typing import Optional

from fairseq.models import register_model

from lm_plugins.errors import Refused
from lm_plugins.models.decoder_config import RecurrentDecoderConfig
from lm_plugins.models.recurrent_language_model import RecurrentLanguageModel
from lm_plugins.modules.cifg import CIFGLayer
from lm_plugins.ranges import FINITE, at_least


@dataclass
class CIFGConfig(RecurrentDecoderConfig):
    """Options of CIFG."""

    memory_cells: Optional[int] = field(
        default=None,
        metadata={
            "range": at_least(1),
            "help": "memory cells per layer, whose outputs are projected onto its units; must exceed the "
            "number of units; default: one cell per unit and no projection (Hard et al. 2018: 670 with 96 "
            "units)",
        },
    )
    forget_bias: float = field(
        default=0.0,
        metadata={"range": FINITE, "help": "value added to the initial bias of the forget gate"},
    )


@register_model("cifg", dataclass=CIFGConfig)
class CIFG(RecurrentLanguageModel):
    """Embedding, CIFG layers and output layer; see :class:`RecurrentDecoder`."""

    config = CIFGConfig

    @classmethod
    def build_layer(cls, cfg: CIFGConfig, index: int, n_in: int, n_out: int) -> CIFGLayer:
        """Return the layer that the options ask for.

        Raises:
            Refused: `memory_cells` does not exceed the number of units.
        """
        try:
            return CIFGLayer(
                n_in,
                n_out,
                memory_cells=cfg.memory_cells,
                forget_bias=cfg.forget_bias,
                weight_dropout=cfg.weight_dropout,
                init_range=cfg.rnn_init_range,
            )
        except ValueError as error:
            raise Refused(f"layer {index + 1}: {error}") from error
