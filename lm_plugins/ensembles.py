r"""Score texts with several interpolated models, one of which may be an n-gram model.

from lm_plugins.ensembles import load_ensemble

lm = load_ensemble("a.pt:b.pt", "data-bin/ptb", ngram="kn5.arpa", weights="0.5,0.2,0.3")
lm.score(["the company said it will", "the company said it would"], eos=True)
"""

import argparse
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import tee
from typing import Any

import torch
from fairseq.utils import split_paths
from torch import Tensor

from lm_plugins.errors import Refused
from lm_plugins.evaluation.interpolation import interpolate
from lm_plugins.evaluation.interpolation_options import InterpolationConfig, interpolation_settings
from lm_plugins.evaluation.ngram import Ngram
from lm_plugins.hub import checkpoint_file, load
from lm_plugins.matmul_precision import set_matmul_precision
from lm_plugins.scoring.batches import BATCH_SIZE
from lm_plugins.scoring.language_model import LanguageModel, are_several
from lm_plugins.scoring.line_scores import LineScore, LineScorer
from lm_plugins.scoring.score import Score


class Ensemble:
    """Linearly interpolated models: p(w) = sum_i weight_i p_i(w).

    Args:
        models: {path: model}, with the same dictionary
        ngram: an n-gram model over that dictionary; None: none
        weights: of each model, and of the n-gram model, with the sum 1
    """

    def __init__(
        self, models: dict[str, LanguageModel], ngram: Ngram | None, weights: Sequence[float]
    ) -> None:
        self.models, self.ngram, self.weights = list(models.values()), ngram, list(weights)
        self.paths = [*models, *([ngram.path] if ngram is not None else [])]

    def __repr__(self) -> str:
        models = " + ".join(
            f"{weight:g} {path}" for weight, path in zip(self.weights, self.paths, strict=True)
        )
        return f"Ensemble({models})"

    def encode(self, text: str, eos: bool = False) -> Tensor:
        """Return the ids of `text`, [T]; see :meth:`LanguageModel.encode`."""
        return self.models[0].encode(text, eos)

    def score(
        self, text: str | Iterable[str], *, eos: bool = False, batch_size: int = BATCH_SIZE
    ) -> Score | list[Score]:
        """Return the score of a text, or of each text of a list; see :meth:`LanguageModel.score`.

        There is no scorer and no state, which belong to one model.
        """
        texts = list(text) if are_several(text) else [text]
        of_models = [model.score(texts, eos=eos, batch_size=batch_size) for model in self.models]
        scores = [
            Score(of_one[0].tokens, self._mixed(of_one, self.encode(one, eos)))
            for one, *of_one in zip(texts, *of_models, strict=True)
        ]
        return scores if are_several(text) else scores[0]

    def score_lines(
        self,
        blocks: Iterable[list[str]],
        progress: Callable[[int], object] = lambda lines: None,
        **options: Any,
    ) -> Iterator[LineScore]:
        """Yield the score of each line of `blocks`; call `progress` with numbers of lines that are scored.

        Args:
            options: of :class:`LineScorer`. The n-gram model scores each line by itself in any case.
        """
        *others, last = zip(self.models, tee(blocks, len(self.models)), strict=True)
        of_models = [LineScorer(model, **options).score(copy) for model, copy in others]
        of_models.append(LineScorer(last[0], **options).score(last[1], progress))
        for scores in zip(*of_models, strict=True):
            ids = torch.tensor(scores[0].ids, dtype=torch.long)
            yield scores[0]._replace(log_probs=self._mixed(scores, ids))

    def _mixed(self, scores: Sequence[Score | LineScore], ids: Tensor) -> Tensor:
        """Return ln p of the tokens `ids` [T] of a text that begins with a line, float64 [T].

        Args:
            scores: that each model gives the text
        """
        log_probs = [score.log_probs.double() for score in scores]
        if self.ngram is not None:
            log_probs.append(self.ngram.log_prob(ids))
        return interpolate(torch.stack(log_probs), torch.tensor(self.weights, dtype=torch.float64))


def load_ensemble(
    path: str | os.PathLike | Iterable[str | os.PathLike],
    data: str | os.PathLike | None = None,
    device: str | torch.device = "cpu",
    *,
    ngram: str | None = None,
    weights: str | Iterable[float] | None = None,
    weights_from: str | None = None,
) -> Ensemble:
    """Load the models that ``--path`` and the options of an interpolation name.

    Args:
        path: a checkpoint or the folder of one, or several in a list or separated by colons
        data: folder with the dict.txt of the training data; None: the folder that each checkpoint names
        device: where the models compute
        ngram: file of an n-gram model; None: none
        weights: with the sum 1, in a list or separated by commas; None: equal weights
        weights_from: file of ``fairseq-eval-lm --interpolate-tune``, in place of `weights`

    Raises:
        Refused: a model cannot be loaded or is named twice, the weights do not fit the models, or the models
            have different dictionaries
    """
    if isinstance(path, str) and not os.path.exists(path):
        path = split_paths(path)
    paths = [checkpoint_file(one) for one in (path if are_several(path) else [path])]
    if not paths:
        raise Refused("no model is given: give the path of at least one")
    if repeated := next((one for one in paths if paths.count(one) > 1), None):
        raise Refused(f"{repeated} is one of the models twice: name each model once")
    cfg = InterpolationConfig(
        interpolate_with=os.pathsep.join(paths[1:]) or None,
        interpolate_ngram=ngram,
        interpolate_weights=",".join(map(str, map(float, weights))) if are_several(weights) else weights,
        interpolate_from=weights_from,
    )
    settings = interpolation_settings(cfg, paths[0])
    models = {one: load(one, data, device) for one in paths}
    dictionary = models[paths[0]].dictionary
    for one, model in models.items():
        if model.dictionary.symbols != dictionary.symbols:
            raise Refused(
                f"{one} and {paths[0]} were trained with different dictionaries: give models of one corpus"
            )
    counts = Ngram(ngram, dictionary) if ngram else None
    return Ensemble(models, counts, settings.weights if settings is not None else (1.0,))


def load_typed_ensemble(options: argparse.Namespace, device: str) -> Ensemble:
    """Load the models that a command names by --path, --data and the options of an interpolation.

    Matrices are multiplied as in an evaluation.

    Args:
        options: see :mod:`lm_plugins.evaluation.interpolation_arguments`
        device: where the models compute

    Raises:
        Refused: see :func:`load_ensemble`
    """
    set_matmul_precision("auto", on_cpu=device == "cpu")
    return load_ensemble(
        options.path,
        options.data,
        device,
        ngram=options.interpolate_ngram,
        weights=options.interpolate_weights,
        weights_from=options.interpolate_from,
    )
