"""Score the lines of a text with a trained model.

    python -m lm_plugins.score --path CHECKPOINT [--data FOLDER] [FILE]

writes a row for each line of FILE, or of standard input, in the same order: ln p in nats, the number of
tokens, how many of them are unknown to the model, and the perplexity, separated by tabs. ``--path a:b``
interpolates models. The whole text is checked before the first line is scored. docs/scoring.md has examples.
"""

import argparse
import logging
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from typing import TextIO

from fairseq.utils import import_user_module
from tqdm import tqdm

from lm_plugins.data.level import has_line_ends
from lm_plugins.ensembles import load_typed_ensemble
from lm_plugins.errors import Refused
from lm_plugins.evaluation.interpolation_arguments import add_interpolation_arguments, files_of_models
from lm_plugins.excepthook import excepthook, refusals_exit_with_2
from lm_plugins.files import atomically, check_files
from lm_plugins.hub import default_device
from lm_plugins.ranges import at_least, check
from lm_plugins.scoring.batches import BATCH_SIZE
from lm_plugins.scoring.line_scores import LineScore
from lm_plugins.scoring.lines import Lines, blocks, open_text
from lm_plugins.scoring.tables import Table, Total
from lm_plugins.standard_output import open_standard_output, reader_may_end
from lm_plugins.user_dir import add_user_dir_argument, check_user_dir

BLOCK = 4096  # lines that are sorted by length and scored together


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lm_plugins.score",
        description="Score each line of a text with a trained model. A row has ln p in nats, the number of "
        "tokens, how many of them are unknown to the model, and the perplexity, separated by tabs.",
        allow_abbrev=False,
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="a text in UTF-8 (default: standard input)")
    parser.add_argument(
        "--path",
        required=True,
        help="a checkpoint, or a folder with a checkpoint_best.pt; a:b:c interpolates several",
    )
    parser.add_argument(
        "--data", help="folder with the dict.txt of the training data (default: named by the checkpoint)"
    )
    parser.add_argument(
        "--output", metavar="FILE", help="file to write when all is done (default: standard output)"
    )
    parser.add_argument("--json", action="store_true", help="write a JSON object for each line")
    units = parser.add_mutually_exclusive_group()
    units.add_argument(
        "--tokens", action="store_true", help="write a row for each token, with its -log2 p in bits"
    )
    units.add_argument(
        "--words",
        action="store_true",
        help="write a row for each word, put together from pieces, characters or bytes, with its -log2 p",
    )
    parser.add_argument("--no-eos", action="store_true", help="do not count the </s> after each line")
    parser.add_argument(
        "--carry", action="store_true", help="read the lines as one text (default: each line by itself)"
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=BATCH_SIZE,
        help=f"number of lines scored at a time, at least 1 (default: {BATCH_SIZE})",
    )
    parser.add_argument(
        "--buffer-size",
        type=int,
        help="score as soon as this many lines are read, at least 1; 1 answers each line at once, and is the "
        f"default on a terminal (default otherwise: check all lines first, and score {BLOCK} together)",
    )
    add_interpolation_arguments(parser)
    parser.add_argument("--cpu", action="store_true", help="do not use the GPU")
    add_user_dir_argument(parser)
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Run the command line. A refusal ends with status 2."""
    sys.excepthook = excepthook
    options = parser().parse_args(arguments)
    open_standard_output()
    logging.getLogger().setLevel(logging.WARNING)
    with refusals_exit_with_2(), reader_may_end():
        run(options)


def check_options(options: argparse.Namespace) -> None:
    """Check what can be checked before a model is loaded.

    Raises:
        Refused: a number is out of range, there is no text, or a file cannot be written or would overwrite
            another one
    """
    if options.file is None and sys.stdin is None:
        raise Refused("standard input is closed: give a text file")
    for flag, value in (("--batch-size", options.batch_size), ("--buffer-size", options.buffer_size)):
        if value is not None:
            check(flag, value, at_least(1))
    check_user_dir(options.user_dir)
    check_files({"--output": options.output}, {"the text": options.file} | files_of_models(options))


def run(options: argparse.Namespace) -> None:
    """Check the input, score it, and print a summary to stderr.

    Raises:
        Refused: a file cannot be read or written, or a line cannot be scored
    """
    check_options(options)
    import_user_module(options)
    ensemble = load_typed_ensemble(options, default_device(options.cpu))
    lm = ensemble.models[0]
    reads_line_ends = options.carry or not options.no_eos
    if reads_line_ends and not all(has_line_ends(model.folder) for model in ensemble.models):
        raise Refused("a model of text8 never predicts a </s>: give --no-eos, and leave out --carry")
    units = "tokens" if options.tokens else "words" if options.words else None
    table = Table(lm.level, lm.encoder.codec, lm.dictionary.unk(), units, options.json)
    size = options.buffer_size or (1 if options.file is None and sys.stdin.isatty() else None)
    started = time.monotonic()
    with ExitStack() as stack:
        file, name = open_text(options.file, twice=size is None)
        lines = Lines(stack.enter_context(file), name, lm.encoder.symbols if lm.level == "word" else str)
        number = lines.count() if size is None else None
        out = sys.stdout
        if options.output:
            unfinished = stack.enter_context(atomically(options.output))
            out = stack.enter_context(open(unfinished, "w", encoding="utf-8"))
        hidden = out.isatty() or None  # None: hidden unless stderr is a terminal
        bar = stack.enter_context(tqdm(total=number, unit=" lines", disable=hidden))
        scores = ensemble.score_lines(
            blocks(lines, size or BLOCK),
            bar.update,
            eos=not options.no_eos,
            carry=options.carry,
            batch_size=options.batch_size,
        )
        count, total = write_table(table, scores, out, flush=size is not None)
    print(
        f"{count:,} lines, {total.tokens:,} tokens ({'without' if options.no_eos else 'with'} </s>), "
        f"{total.unknown:,} unknown, ln p {total.log_prob:.2f}, perplexity {total.perplexity:.3f}, "
        f"{total.tokens / (time.monotonic() - started):,.0f} tokens/s",
        file=sys.stderr,
    )


def write_table(table: Table, scores: Iterable[LineScore], out: TextIO, flush: bool) -> tuple[int, Total]:
    """Write the rows of each line to `out`, and return the number of lines and their total.

    Args:
        flush: after each line, whose reader may wait for the answer
    """
    count, total = 0, Total()
    out.writelines(row + "\n" for row in table.header())
    for count, score in enumerate(scores, 1):
        of_line = table.total(score)
        total = total.plus(of_line)
        out.writelines(row + "\n" for row in table.rows(count, score, of_line))
        if flush:
            out.flush()
    out.flush()
    return count, total


if __name__ == "__main__":
    main()
