"""Functions that build each head from the options of a model."""

import math
from typing import Any, Protocol

from fairseq.data import Dictionary

from lm_plugins.data.dictionary import sorted_by_count
from lm_plugins.models.head_config import HeadConfig
from lm_plugins.modules.embedding_dropout import Embedding
from lm_plugins.modules.head import Head


class Builder(Protocol):
    """A function that builds a head from the options of a model."""

    def __call__(
        self, head: type[Head], cfg: HeadConfig, features: int, dictionary: Dictionary, embedding: Embedding
    ) -> Head:
        """Return an instance of `head`.

        Args:
            head: the class that was registered
            cfg: the options of the model, those of its architecture included
            features: units of the last layer
            dictionary: V symbols
            embedding: the input embedding, whose weight the head shares if `cfg` ties them

        Raises:
            ValueError: the options do not fit each other or the dictionary.
        """


def build_plain(
    head: type[Head], cfg: HeadConfig, features: int, dictionary: Dictionary, embedding: Embedding, **options
) -> Head:
    """Build a head from the arguments that all heads take, and further `options`."""
    weight = embedding.weight if cfg.share_decoder_input_output_embed else None
    return head(features, len(dictionary), weight=weight, padding_idx=dictionary.pad(), **options)


def build_softmax(
    head: type[Head], cfg: HeadConfig, features: int, dictionary: Dictionary, embedding: Embedding
) -> Head:
    """Build a softmax, which may be split across processes like the embedding."""
    options = {**matrix_options(cfg, dictionary), "split": embedding.split, "normaliser": str(cfg.nce_z)}
    return build_plain(head, cfg, features, dictionary, embedding, **options)


def build_mixture(
    head: type[Head], cfg: HeadConfig, features: int, dictionary: Dictionary, embedding: Embedding
) -> Head:
    """Build a mixture of softmaxes, whose latent vectors are as wide as the embedding."""
    mixture = {"experts": cfg.n_experts, "latent_dropout": cfg.latent_dropout, "width": cfg.decoder_embed_dim}
    return build_plain(
        head, cfg, features, dictionary, embedding, **matrix_options(cfg, dictionary), **mixture
    )


def matrix_options(cfg: HeadConfig, dictionary: Dictionary) -> dict[str, Any]:
    """Return the options of a :class:`~lm_plugins.modules.vocabulary_matrix.VocabularyMatrix`."""
    uniform = str(cfg.output_bias_init) == "uniform"
    return {
        "rank": cfg.output_rank,
        "init_range": cfg.output_init_range or cfg.init_range,
        "bias_init": -math.log(len(dictionary)) if uniform else 0.0,
        "sparse": cfg.sparse_embedding_grad,
    }


def build_adaptive(
    head: type[Head], cfg: HeadConfig, features: int, dictionary: Dictionary, embedding: Embedding
) -> Head:
    """Build an adaptive softmax.

    Raises:
        ValueError: a rank is given, the cutoffs are not a list of integers, or the dictionary is not sorted
            by frequency.
    """
    if cfg.output_rank:
        raise ValueError(
            f"--output-rank {cfg.output_rank} factorises only a softmax or a mixture of softmaxes: leave it "
            "out"
        )
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
    options = {"cutoffs": cutoffs, "factor": cfg.adaptive_softmax_factor}
    return build_plain(head, cfg, features, dictionary, embedding, **options)
