"""Score a text with the models that fairseq-eval-lm interpolates with the first one."""

from fairseq.data import Dictionary
from torch import nn

from lm_plugins.evaluation.interpolation import Component, Mixture
from lm_plugins.evaluation.interpolation_components import model_component, ngram_component
from lm_plugins.evaluation.interpolation_options import InterpolationSettings
from lm_plugins.evaluation.ngram import Ngram
from lm_plugins.evaluation.results_file import identified
from lm_plugins.evaluation.windows import EvaluationWindows
from lm_plugins.tasks.loading import load_decoder


def mixture(
    settings: InterpolationSettings,
    first: dict[str, str],
    decoder: nn.Module,
    dictionary: Dictionary,
    folder: str,
    windows: EvaluationWindows,
) -> Mixture:
    """Return the models of `settings`, each of which makes a pass over `windows`.

    Args:
        first: path and SHA-256 of the first model
        decoder: the first model, on whose device and with whose precision the others compute
        folder: the data folder

    Raises:
        Refused: a model cannot be loaded, or was trained with another dictionary
    """
    ngram = None
    if settings.ngram:  # refused before the passes
        ngram = identified(settings.ngram), Ngram(settings.ngram, dictionary)
    others = [_component(path, decoder, folder, windows) for path in settings.checkpoints]
    if ngram is not None:
        others.append(ngram_component(*ngram, windows))
    return Mixture(first, others, settings.weights, settings.file)


def _component(path: str, first: nn.Module, folder: str, windows: EvaluationWindows) -> Component:
    model = identified(path)
    decoder, _ = load_decoder(path, folder)
    return model_component(model, decoder.to(next(first.parameters())), windows)
