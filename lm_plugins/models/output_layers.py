"""Which output layer a decoder has, and its options."""

from dataclasses import dataclass, field
from typing import Optional

from fairseq.dataclass import ChoiceEnum, FairseqDataclass

from lm_plugins.data.dictionary import sorted_by_count
from lm_plugins.errors import Refused
from lm_plugins.modules.adaptive_softmax import AdaptiveSoftmax
from lm_plugins.modules.mixture_of_softmaxes import MixtureOfSoftmaxes
from lm_plugins.modules.softmax import NORMALISERS, Softmax


@dataclass
class OutputLayerConfig(FairseqDataclass):
    output_layer: ChoiceEnum(["softmax", "adaptive_softmax", "mos"]) = field(
        default="softmax",
        metadata={
            "help": "softmax: full softmax over the vocabulary; adaptive_softmax: adaptive softmax (Grave "
            "et al. 2017); mos: mixture of softmaxes (Yang et al. 2018)"
        },
    )
    share_decoder_input_output_embed: bool = field(
        default=False,
        metadata={
            "help": "share one matrix between the input embedding and the output layer (awd-lstm-lm: tied)"
        },
    )
    output_rank: Optional[int] = field(
        default=None,
        metadata={
            "help": "factorise the output matrix with this rank, at least 1 and below the number of "
            "features; untied embeddings only (Zhang 2018: 256)"
        },
    )
    adaptive_softmax_cutoff: Optional[str] = field(
        default=None,
        metadata={
            "help": "index of the first word of each tail cluster, words being sorted by decreasing "
            "frequency; comma-separated and increasing (WikiText-103: 2800,20000,76000; Google Billion "
            "Words: 4000,40000,200000)"
        },
    )
    adaptive_softmax_factor: float = field(
        default=4.0,
        metadata={
            "help": "reduction factor: tail cluster i uses features / factor^i dimensions; untied "
            "embeddings only (Grave et al. 2017: 4)"
        },
    )
    n_experts: int = field(
        default=15, metadata={"help": "number of softmaxes in the mixture (mos: n_experts, 15)"}
    )
    latent_dropout: float = field(
        default=0.0,
        metadata={
            "help": "dropout probability on the mixture's latent vectors, in [0, 1) (mos: dropoutl, 0.29)"
        },
    )
    nce_z: ChoiceEnum(list(NORMALISERS)) = field(
        default="fixed",
        metadata={
            "help": "normalising constant Z of --criterion nce; fixed: Z = 1; estimated: mean of the "
            "estimates of the first 10 updates; learned: a trained parameter"
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


def build_output_layer(cfg, features, dictionary, embedding):
    """The output layer that `cfg` names, on `features` units; `embedding` may be tied to it.

    Raises:
        Refused: options that do not fit each other, or a dictionary not sorted by frequency where
            the adaptive softmax relies on it.
    """
    kind, tied = str(cfg.output_layer), cfg.share_decoder_input_output_embed
    common = {
        "vocabulary": len(dictionary),
        "weight": embedding.weight if tied else None,
        "padding_idx": dictionary.pad(),
    }
    matrix = {"rank": cfg.output_rank, "init_range": cfg.init_range, "sparse": cfg.sparse_embedding_grad}
    try:
        if kind != "softmax" and cfg.split_vocabulary:
            raise ValueError("--split-vocabulary supports only the full softmax: use --output-layer softmax")
        if kind == "adaptive_softmax":
            return _adaptive(cfg, features, dictionary, common)
        if kind == "mos":
            width = cfg.decoder_embed_dim
            mixture = {"experts": cfg.n_experts, "width": width, "latent_dropout": cfg.latent_dropout}
            return MixtureOfSoftmaxes(features, **common, **matrix, **mixture)
        return Softmax(features, **common, **matrix, split=embedding.split, normaliser=str(cfg.nce_z))
    except ValueError as error:
        raise Refused(f"--output-layer {kind}: {error}") from error


def _adaptive(cfg, features, dictionary, common):
    try:
        cutoffs = [int(cutoff) for cutoff in (cfg.adaptive_softmax_cutoff or "").split(",")]
    except ValueError:
        raise ValueError(
            f"--adaptive-softmax-cutoff is {cfg.adaptive_softmax_cutoff}: give increasing word indices, such "
            "as 2800,20000,76000"
        ) from None
    if not sorted_by_count(dictionary):
        raise ValueError(
            "the dictionary is not sorted by decreasing frequency: build one with fairseq-preprocess "
            "without --srcdict, or sort the lines of dict.txt by count and binarize with it"
        )
    return AdaptiveSoftmax(features, **common, cutoffs=cutoffs, factor=cfg.adaptive_softmax_factor)
