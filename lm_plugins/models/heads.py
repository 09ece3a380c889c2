"""The heads (output layers) that a model can have, their options, and the criteria that belong to them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Optional, Protocol

from fairseq.data import Dictionary
from fairseq.dataclass import ChoiceEnum, FairseqDataclass

from lm_plugins.data.dictionary import sorted_by_count
from lm_plugins.errors import Refused
from lm_plugins.modules.adaptive_softmax import AdaptiveSoftmax
from lm_plugins.modules.embedding_dropout import Embedding
from lm_plugins.modules.head import Head
from lm_plugins.modules.mixture_of_softmaxes import MixtureOfSoftmaxes
from lm_plugins.modules.softmax import NORMALISERS, Softmax

EXACT = "lm_cross_entropy"  # the criterion that supports every head


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
            ValueError: the options do not fit each other, or not the dictionary.
        """


def build_plain(
    head: type[Head], cfg: HeadConfig, features: int, dictionary: Dictionary, embedding: Embedding, **options
) -> Head:
    """Build a head that takes what all heads have in common, and further `options`."""
    weight = embedding.weight if cfg.share_decoder_input_output_embed else None
    return head(features, len(dictionary), weight=weight, padding_idx=dictionary.pad(), **options)


def build_softmax(
    head: type[Head], cfg: HeadConfig, features: int, dictionary: Dictionary, embedding: Embedding
) -> Head:
    options = {**matrix_options(cfg), "split": embedding.split, "normaliser": str(cfg.nce_z)}
    return build_plain(head, cfg, features, dictionary, embedding, **options)


def build_mixture(
    head: type[Head], cfg: HeadConfig, features: int, dictionary: Dictionary, embedding: Embedding
) -> Head:
    mixture = {"experts": cfg.n_experts, "latent_dropout": cfg.latent_dropout, "width": cfg.decoder_embed_dim}
    return build_plain(head, cfg, features, dictionary, embedding, **matrix_options(cfg), **mixture)


def matrix_options(cfg: HeadConfig) -> dict:
    return {"rank": cfg.output_rank, "init_range": cfg.init_range, "sparse": cfg.sparse_embedding_grad}


def build_adaptive(
    head: type[Head], cfg: HeadConfig, features: int, dictionary: Dictionary, embedding: Embedding
) -> Head:
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


@dataclass(frozen=True)
class RegisteredHead:
    """A head with what else belongs to it.

    Args:
        head: its class
        criterion: the --criterion that --output-layer brings with it
        other_criteria: others that need this head
        build: the function that builds it
    """

    head: type[Head]
    criterion: str = EXACT
    other_criteria: tuple[str, ...] = ()
    build: Builder = build_plain

    def is_needed_by(self, criterion: str) -> bool:
        """Return whether `criterion` supports only heads that list it."""
        return criterion != EXACT and criterion in (self.criterion, *self.other_criteria)


HEADS = {  # by the value of --output-layer
    "softmax": RegisteredHead(Softmax, EXACT, ("nce",), build_softmax),
    "adaptive_softmax": RegisteredHead(AdaptiveSoftmax, "adaptive_softmax", build=build_adaptive),
    "mos": RegisteredHead(MixtureOfSoftmaxes, "mos", build=build_mixture),
}


def register_head(
    name: str,
    head: type[Head],
    *,
    criterion: str = EXACT,
    other_criteria: Iterable[str] = (),
    build: Builder = build_plain,
) -> None:
    """Add a head to the values of ``--output-layer``.

    Args:
        name: the value
        head: its class
        criterion: name of the criterion that it is trained with unless --criterion is given. A criterion with
            another name than that of the exact one supports only heads that are registered with it.
        other_criteria: names of other criteria that need this head
        build: a function that builds it from the options of a model, see :class:`Builder`; the default calls
            ``head(features, vocabulary_size, weight=..., padding_idx=...)``

    Raises:
        ValueError: there is a head of this name.
    """
    if name in HEADS:
        raise ValueError(f"there is already an output layer {name}: give yours another name")
    HEADS[name] = RegisteredHead(head, criterion, tuple(other_criteria), build)


def default_criterion(name: str | None) -> str | None:
    """Return the criterion of ``--output-layer name``, or None if there is no such head."""
    return HEADS[name].criterion if name in HEADS else None


def needed_head(criterion: str | None) -> str | None:
    """Return the first head that ``--criterion criterion`` supports, or None if it supports any."""
    return next((name for name, entry in HEADS.items() if entry.is_needed_by(criterion)), None)


def check_criterion(criterion: str, head: Head) -> None:
    """Raise Refused if ``--criterion criterion`` does not support `head`."""
    supported = tuple(entry.head for entry in HEADS.values() if entry.is_needed_by(criterion))
    if supported and not isinstance(head, supported):
        raise Refused(
            f"--criterion {criterion} needs a model whose output layer is "
            f"{' or '.join(kind.__name__ for kind in supported)}, but this model has {type(head).__name__}: "
            f"give the matching --output-layer, or use --criterion {EXACT}, which supports all of them"
        )


def build_head(cfg: HeadConfig, features: int, dictionary: Dictionary, embedding: Embedding) -> Head:
    """Build the head that ``--output-layer`` names.

    Args:
        cfg: options of the model
        features: units of the last layer
        dictionary: V symbols
        embedding: the input embedding, which may share its weight

    Raises:
        Refused: there is no such head, or the options do not fit each other or the dictionary.
    """
    name = str(cfg.output_layer)
    if name not in HEADS:
        raise Refused(f"there is no --output-layer {name}: choose from {', '.join(HEADS)}")
    entry = HEADS[name]
    try:
        if cfg.split_vocabulary and entry.head is not Softmax:
            raise ValueError("--split-vocabulary supports only the full softmax: use --output-layer softmax")
        return entry.build(entry.head, cfg, features, dictionary, embedding)
    except ValueError as error:
        raise Refused(f"--output-layer {name}: {error}") from error
