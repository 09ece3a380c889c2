"""The options of an interpolation for the commands lm_plugins.score and lm_plugins.rescore."""

import argparse

from fairseq.utils import split_paths

OPTIONS = (
    ("ngram", "FILE", "also interpolate an n-gram model in ARPA or KenLM's binary format"),
    ("weights", "W,W", "weights of the models and the n-gram model, with the sum 1 (default: equal)"),
    ("from", "FILE", "read the weights from a FILE written by fairseq-eval-lm --interpolate-tune"),
)


def add_interpolation_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what :func:`lm_plugins.ensembles.load_ensemble` takes besides the paths of the models."""
    for name, metavar, text in OPTIONS:
        parser.add_argument(f"--interpolate-{name}", metavar=metavar, help=text)


def files_of_models(options: argparse.Namespace) -> dict[str, str | None]:
    """Return the files that hold the models of --path and their weights, by what they are."""
    return {
        **{f"the model {path}": path for path in (options.path, *split_paths(options.path))},
        "the n-gram model": options.interpolate_ngram,
        "the weights": options.interpolate_from,
    }
