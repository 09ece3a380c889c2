"""A model of ours without its training state: what a checkpoint and plain tensors have in common."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from fairseq.data import Dictionary
from fairseq.models import ARCH_MODEL_REGISTRY, MODEL_REGISTRY
from fairseq.utils import split_paths
from torch import Tensor

from lm_plugins.checkpoint_contents import read_own_checkpoint
from lm_plugins.converting.dictionary import ABSENT_BIAS, Reordering
from lm_plugins.converting.translated import Translated
from lm_plugins.data.dictionary import digest, load_dictionary
from lm_plugins.data.level import recorded_level, sentencepiece_model
from lm_plugins.data_folders import saved_folders
from lm_plugins.errors import Refused
from lm_plugins.models.recurrent_language_model import RENAMED, RecurrentLanguageModel

PREFIX, DIGEST = "decoder.", "decoder.dictionary_digest"
EMBEDDING = "decoder.embed_tokens.weight"
TIED = ("decoder.output_head.weight", "decoder.output_head.vocabulary.weight")  # may be the embedding


class Own(NamedTuple):
    """A model of ours: its options, its weights by the names in a checkpoint, and its dictionary."""

    model: str
    options: dict[str, Any]
    weights: dict[str, Tensor]  # without the digest, which follows from the dictionary
    dictionary: Dictionary
    level: str | None = None  # what a token is; None: not recorded
    pieces: str | None = None  # path of a SentencePiece model

    @property
    def parameters(self) -> int:
        """Return the number of parameters, a tied matrix counted once."""
        tied = {name for name in TIED if is_tied(self) and name in self.weights}
        return sum(tensor.numel() for name, tensor in self.weights.items() if name not in tied)


def is_tied(own: Own) -> bool:
    """Return whether the output matrix is the embedding."""
    return bool(own.options.get("share_decoder_input_output_embed"))


def model_class(name: Any) -> type[RecurrentLanguageModel]:
    """Return the model called `name`.

    Raises:
        Refused: there is none in this package
    """
    kind = MODEL_REGISTRY.get(name) if isinstance(name, str) else None
    if not (isinstance(kind, type) and issubclass(kind, RecurrentLanguageModel)):
        raise Refused(f"lm_plugins has no model {name!r}: give a file that lm_plugins.convert wrote")
    return kind


def from_translated(
    translated: Translated, reordering: Reordering, cutoffs: list[int], level: str | None
) -> Own:
    """Return a translated model with the words in our order, and with our names of all weights."""
    options, rows = dict(translated.options), reordering.rows
    if cutoffs:
        options["adaptive_softmax_cutoff"] = ",".join(map(str, cutoffs))
    embedding = rows(translated.embedding)
    matrix = embedding if translated.output is None else rows(translated.output)
    vocabulary = "output_head." if cutoffs else "output_head.vocabulary."
    weights = {"embed_tokens.weight": embedding, f"{vocabulary}weight": matrix}
    weights[f"{vocabulary}bias"] = rows(translated.bias, ABSENT_BIAS)
    weights |= {f"output_head.{name}": tensor for name, tensor in translated.head.items()}
    for number, layer in enumerate(translated.layers):
        weights |= {f"layers.{number}.{name}": tensor for name, tensor in layer.items()}
    weights = {f"{PREFIX}{name}": tensor.float() for name, tensor in weights.items()}
    return Own(translated.model, options, weights, reordering.dictionary, level)


def from_checkpoint(path: str, data: str | None) -> Own:
    """Return the model in a checkpoint of ours.

    Args:
        data: folder with the dict.txt of the training data; None: the folder that the checkpoint names

    Raises:
        Refused: it is not a checkpoint of ours, or `data` has another dictionary
    """
    saved = read_own_checkpoint(path)
    cfg, weights = saved["cfg"], dict(saved["model"])
    folder = split_paths(data or saved_folders(cfg["task"]["data"]))[0]
    dictionary = load_dictionary(folder)
    if not digest(dictionary).equal(weights.pop(DIGEST, digest(dictionary))):
        raise Refused(
            f"{path} was trained with a different dictionary from that of {folder}: give the folder of its "
            "training data with --data"
        )
    kind = {**MODEL_REGISTRY, **ARCH_MODEL_REGISTRY}[cfg["model"]["_name"]]
    model = next(name for name, registered in MODEL_REGISTRY.items() if registered is kind)
    return Own(
        model,
        own_options(kind, cfg["model"]),
        weights,
        dictionary,
        recorded_level(folder) or cfg["task"].get("text_level"),
        sentencepiece_model(folder),
    )


def own_options(kind: type[RecurrentLanguageModel], saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the model `kind` among those that were `saved`."""
    names = {field.name for field in fields(kind.config)} - {"_name"}
    saved = {RENAMED.get(name, name): value for name, value in saved.items()}
    return {name: saved[name] for name in sorted(names & saved.keys())}
