"""The heads (output layers) that a model can have, and the criterion that belongs to each."""

from collections.abc import Iterable
from dataclasses import dataclass

from fairseq.data import Dictionary

from lm_plugins.errors import Refused
from lm_plugins.models.head_builders import (
    Builder,
    build_adaptive,
    build_mixture,
    build_plain,
    build_softmax,
)
from lm_plugins.models.head_config import HeadConfig
from lm_plugins.modules.adaptive_softmax import AdaptiveSoftmax
from lm_plugins.modules.embedding_dropout import Embedding
from lm_plugins.modules.head import Head
from lm_plugins.modules.mixture_of_softmaxes import MixtureOfSoftmaxes
from lm_plugins.modules.softmax import Softmax
from lm_plugins.modules.vocabulary_matrix import VocabularyMatrix

EXACT = "lm_cross_entropy"  # the criterion that supports every head


@dataclass(frozen=True)
class RegisteredHead:
    """An entry of `HEADS`; :func:`register_head` explains its fields."""

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
        name: the new value
        head: the class of the head
        criterion: name of the criterion that trains this head by default
        other_criteria: names of further criteria that support this head. A criterion that is registered with
            any head, other than the exact one, supports only the heads that it is registered with.
        build: a function that builds it from the options of a model, see :class:`Builder`; the default calls
            ``head(features, vocabulary_size, weight=..., padding_idx=...)``

    Raises:
        ValueError: there is already a head of this name.
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


def has_dense_matrix(head: Head) -> bool:
    """Return whether `head` has one dense output matrix for all words."""
    matrix = getattr(head, "vocabulary", None)
    return isinstance(matrix, VocabularyMatrix) and matrix.is_one_dense_tensor


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
