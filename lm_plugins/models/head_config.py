"""The options of the heads (output layers)."""

from dataclasses import dataclass, field
from typing import Optional

from fairseq.dataclass import ChoiceEnum, FairseqDataclass

from lm_plugins.modules.softmax import NORMALISERS
from lm_plugins.ranges import PROBABILITY, above, at_least


@dataclass
class HeadConfig(FairseqDataclass):
    output_layer: str = field(
        default="softmax",
        metadata={
            "help": "output layer; softmax: full softmax over the vocabulary; adaptive_softmax: adaptive "
            "softmax (Grave et al. 2017); mos: mixture of softmaxes (Yang et al. 2018); or the name of an "
            "output layer that a plug-in registers"
        },
    )
    share_decoder_input_output_embed: bool = field(
        default=False,
        metadata={
            "help": "share one matrix between the input embedding and the output layer (awd-lstm-lm: tied)"
        },
    )
    output_init_range: Optional[float] = field(
        default=None,
        metadata={
            "range": above(0),
            "help": "half-width R, above 0, of the uniform distribution on [-R, R] that initialises the "
            "output matrix of an untied softmax or mixture of softmaxes; default: --init-range (Torch's "
            "NCEModule: 1 / sqrt(features))",
        },
    )
    output_rank: Optional[int] = field(
        default=None,
        metadata={
            "range": at_least(1),
            "help": "factorise the output matrix with this rank, at least 1 and below the number of "
            "features; untied embeddings only (Zhang 2018: 256)",
        },
    )
    adaptive_softmax_cutoff: Optional[str] = field(
        default=None,
        metadata={
            "help": "indices of the first words of the tail clusters, in a dictionary sorted by decreasing "
            "frequency; comma-separated and increasing (WikiText-103: 2800,20000,76000; Google Billion "
            "Words: 4000,40000,200000)"
        },
    )
    adaptive_softmax_factor: float = field(
        default=4.0,
        metadata={
            "range": at_least(1),
            "help": "reduction factor, at least 1: tail cluster i uses features / factor^i dimensions; "
            "untied embeddings only (Grave et al. 2017: 4)",
        },
    )
    n_experts: int = field(
        default=15,
        metadata={
            "range": at_least(1),
            "help": "number of softmaxes in the mixture, at least 1 (mos: n_experts, 15)",
        },
    )
    latent_dropout: float = field(
        default=0.0,
        metadata={
            "range": PROBABILITY,
            "help": "dropout probability on the mixture's latent vectors, in [0, 1) (mos: dropoutl, 0.29)",
        },
    )
    nce_z: ChoiceEnum(list(NORMALISERS)) = field(
        default="fixed",
        metadata={
            "help": "normalising constant Z of --criterion nce; fixed: Z = 1; estimated: an estimate from "
            "the noise words of the first update; learned: a trained parameter"
        },
    )
    output_bias_init: ChoiceEnum(["zero", "uniform"]) = field(
        default="zero",
        metadata={
            "help": "initial bias of each word in a softmax or mixture of softmaxes; zero: 0; uniform: "
            "-ln V, so that the exponentials of all logits sum to about 1; --criterion nce needs uniform, "
            "which is added to its command"
        },
    )
    sparse_embedding_grad: bool = field(
        default=False,
        metadata={
            "help": "use sparse gradients for the embedding and for the output words that --criterion nce "
            "looks up, so that the cost of an update does not grow with the vocabulary; needs --optimizer "
            "nt_asgd or sparse_adagrad"
        },
    )
    split_vocabulary: bool = field(
        default=False,
        metadata={
            "help": "shard the rows of the embedding and of the softmax across processes, for tables that "
            "do not fit into the memory of one process (Google Billion Words: 3.25 G of 3.39 G parameters); "
            "needs --optimizer nt_asgd or sparse_adagrad"
        },
    )
