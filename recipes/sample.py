"""Let an experiment's model write text.

    python -m recipes.sample EXPERIMENT [BEGINNING] [--length N] [--temperature T] [--seed N] [--count N]

prints the beginning and the model's continuation; with --count, it prints several texts, separated by a line
of dashes.
"""

import argparse
import logging
import signal
import sys
from pathlib import Path

from recipes.checkpoints import best_checkpoint
from recipes.files import check_output

LENGTH = 60  # words or pieces
CHARACTERS = 300
TEMPERATURE = 0.8
BETWEEN = "\n-----\n"  # separates two texts


def command(experiment: Path, checkpoint: Path, data: str, cpu: bool) -> list[str]:
    """Return the command that writes EXPERIMENT/sample.txt."""
    where = ["--checkpoint", str(checkpoint), "--data", data, "--output", str(experiment / "sample.txt")]
    return ["python", "-m", "recipes.sample", str(experiment), *where, *(["--cpu"] if cpu else [])]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.sample", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("experiment", type=Path, help="folder that holds checkpoints/")
    parser.add_argument("beginning", nargs="?", default="", help="text to continue (default: none)")
    parser.add_argument(
        "--length", type=int, help=f"tokens to write (default: {LENGTH}, or {CHARACTERS} characters)"
    )
    parser.add_argument(
        "--temperature",
        type=float,
        default=TEMPERATURE,
        help="divides the log-probabilities, at least 0; 0: the most likely tokens (default: 0.8)",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the draws (default: 1)")
    parser.add_argument("--count", type=int, default=1, help="number of texts, at least 1 (default: 1)")
    parser.add_argument("--no-unknown", action="store_true", help="never draw <unk>")
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint other than the experiment's best")
    parser.add_argument("--data", help="data folder (default: named by the checkpoint)")
    parser.add_argument("--output", type=Path, help="write the text to this file instead of printing it")
    parser.add_argument("--cpu", action="store_true", help="do not use the GPU")
    options = parser.parse_args()
    if options.count < 1:
        parser.error(f"--count is {options.count}: it must be at least 1")
    if options.output:
        check_output(options.output)

    logging.basicConfig(level=logging.WARNING)  # before the imports, to hide their messages
    from lm_plugins.data.level import OF_ONE_CHARACTER
    from lm_plugins.excepthook import excepthook
    from lm_plugins.hub import default_device, load

    sys.excepthook = excepthook
    checkpoint = options.checkpoint or best_checkpoint(options.experiment)
    model = load(checkpoint, options.data, default_device(options.cpu))
    length = options.length
    if length is None:
        length = CHARACTERS if model.level in OF_ONE_CHARACTER else LENGTH
    unknown = int((model.encode(options.beginning) == model.dictionary.unk()).sum())
    if unknown:
        print(f"note: tokens of the beginning that the model does not know: {unknown}", file=sys.stderr)
    beginnings = [options.beginning] * options.count
    texts = model.sample(
        beginnings, length, options.temperature, seed=options.seed, unknown=not options.no_unknown
    )
    text = BETWEEN.join(texts)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # end quietly if the reader, such as head, has ended
    main()
