"""The command line of rescoring, and what its options ask for."""

import argparse
from pathlib import Path
from typing import NamedTuple

from lm_plugins.errors import Refused
from lm_plugins.evaluation.interpolation_arguments import add_interpolation_arguments, files_of_models
from lm_plugins.files import check_files
from lm_plugins.grid_picture import picture_file
from lm_plugins.ranges import FINITE, Range, at_least, check
from lm_plugins.user_dir import add_user_dir_argument, check_user_dir

BATCH_SIZE = 64


def argument_parser(description: str) -> argparse.ArgumentParser:
    """Return the parser of ``python -m lm_plugins.rescore``."""
    parser = argparse.ArgumentParser(
        prog="python -m lm_plugins.rescore",
        description=description,
        epilog="total = first pass + alpha ln p + beta words. The first pass is the sum of the scores of a "
        "line, ln p is that of the model in nats, with </s>, and words is the number of words.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "nbest",
        type=Path,
        metavar="NBEST.tsv",
        help="a file in UTF-8, each line of which has an utterance, a hypothesis and one or more scores "
        "(larger is better), separated by tabs; the hypotheses of an utterance must be adjacent",
    )
    add("--path", required=True, help="a checkpoint, or the folder of one; a:b:c interpolates several")
    add(
        "--data",
        help="data folder with the dict.txt of the training data (default: the one named by the checkpoint)",
    )
    add(
        "--alpha",
        help="weight of ln p, at least 0; with --tune, comma-separated values to search (default: 23 values "
        "from 0 to 10)",
    )
    add(
        "--beta",
        help="value added for each word, any number; with --tune, comma-separated values to search, as in "
        "--beta=-1,0,1 (default: 24 values from -10 to 50)",
    )
    add(
        "--tune",
        type=Path,
        metavar="FILE",
        help="search for the alpha and beta with the lowest word error rate, write the rates to FILE as "
        "JSON, and draw them in a PNG file of the same name; needs --references",
    )
    add(
        "--references",
        type=Path,
        metavar="FILE",
        help="count word errors against this file, each line of which has an utterance and its words, "
        "separated by a tab (needs pip install '.[rescore]')",
    )
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="write the best hypothesis of each utterance here (default: standard output; with --tune: "
        "nowhere)",
    )
    add(
        "--rescored",
        type=Path,
        metavar="FILE",
        help="write all hypotheses here, the best first, each with ln p, words and total",
    )
    add("--json", type=Path, metavar="FILE", help="write the results here, as JSON")
    add_interpolation_arguments(parser)
    add(
        "--batch-size",
        type=int,
        default=BATCH_SIZE,
        help="hypotheses scored at a time, at least 1 (default: 64)",
    )
    add("--cpu", action="store_true", help="do not use the GPU")
    add_user_dir_argument(parser)
    return parser


class AlphaBeta(NamedTuple):
    """The values of alpha and beta: one of each, or a grid to search."""

    alphas: tuple[float, ...]
    betas: tuple[float, ...]


def alpha_and_beta(
    options: argparse.Namespace, alphas: tuple[float, ...], betas: tuple[float, ...]
) -> AlphaBeta:
    """Return alpha and beta, or with --tune the typed values of each, or else `alphas` and `betas`.

    Raises:
        Refused: a value is missing, out of range, or one of several without --tune
    """
    alpha = None if options.alpha is None else _numbers(options.alpha, "--alpha", at_least(0))
    beta = None if options.beta is None else _numbers(options.beta, "--beta", FINITE)
    if options.tune is not None:
        if options.references is None:
            raise Refused("--tune searches by word error rate: give the references with --references FILE")
        return AlphaBeta(alpha or alphas, beta or betas)
    if alpha is None or beta is None:
        raise Refused(
            "give --alpha and --beta, or search for them on a development list with --tune FILE and "
            "--references FILE"
        )
    if len(alpha) * len(beta) > 1:
        raise Refused(
            "several values of --alpha or --beta need a search: give --tune FILE, or one value of each"
        )
    return AlphaBeta(alpha, beta)


def _numbers(text: str, flag: str, allowed: Range) -> tuple[float, ...]:
    """Return the distinct comma-separated numbers of `flag`, in increasing order."""
    try:
        values = sorted({float(item) for item in text.split(",")})
    except ValueError as error:
        raise Refused(f"{flag} is {text}: give one or more comma-separated numbers") from error
    check(flag, values, allowed)
    return tuple(values)


def check_options(options: argparse.Namespace) -> None:
    """Check the other options before any work.

    Raises:
        Refused: a number is out of range, or a file cannot be written or would overwrite another one
    """
    check("--batch-size", options.batch_size, at_least(1))
    check_user_dir(options.user_dir)
    outputs = {"--output": options.output, "--rescored": options.rescored, "--json": options.json}
    if options.tune is not None:
        outputs |= {"--tune": options.tune, "the picture of --tune": picture_file(options.tune)}
    inputs = {"the n-best list": options.nbest, "--references": options.references}
    check_files(outputs, inputs | files_of_models(options))
