"""Find a learning rate by a range test: raise it exponentially and record the training loss.

    python -m recipes.lr_range DATA --arch qrnn_ptb [flags of fairseq-train ...]

The test is one fairseq-train with the training flags of the architecture (Smith 2015, arXiv:1506.01186, with
the exponential rise of fastai's learning-rate finder). It ends after --updates, or when the loss diverges.
The folder --out receives lr_range.json, lr_range.txt (every update), lr_range.png and train.log.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

from preprocess.files import atomically
from preprocess.lock import locked
from recipes.files import make_folder
from recipes.logs import DIVERGED, begin
from recipes.plugin import add_user_dir_argument
from recipes.processes import ONE_PROCESS, end_quietly_by_interrupt, piped
from recipes.progress import follow, show_error
from recipes.range_test import FEWEST, RangeTest, draw, suggest, table

OURS = {  # {flag of fairseq-train that the test sets: the options that set it here}
    "--lr": "--lr-min and --lr-max",
    "--lr-scheduler": "--lr-min and --lr-max",
    "--max-update": "--updates",
    "--save-dir": "--out",
}
ROWS = 15  # of the table on the screen


def command_of(options: argparse.Namespace, flags: list[str]) -> list[str]:
    """Return the fairseq-train command of the test, as a user can type it."""
    return [
        "fairseq-train", options.data, "--user-dir", options.user_dir, "--arch", options.arch, *ONE_PROCESS,
        *flags, "--lr", f"{options.lr_min:g}", "--lr-scheduler", "exponential_range",
        "--lr-max", f"{options.lr_max:g}", "--range-updates", str(options.updates),
        "--max-update", str(options.updates), "--max-epoch", "0", "--disable-validation", "--no-save",
        "--no-progress-bar", "--log-format", "json", "--log-interval", "1",
    ]  # fmt: skip


def run(command: list[str], log: Path, test: RangeTest) -> None:
    """Train until the range is covered or the loss diverges.

    Raises:
        SystemExit: training failed
    """
    begin(log, command)
    start = [sys.executable, "-m", "fairseq_cli.train", *command[1:]]
    with piped(start) as process:
        last_lines = follow(test.watch(process.stdout), log)
        if test.diverged:
            process.terminate()
    show_error(last_lines)
    if process.returncode and not test.diverged:
        last = log.read_text(errors="replace").splitlines()[-1]
        if not DIVERGED.search(last):
            raise SystemExit(f"error: fairseq-train failed: see the output above; the log is {log}")
        test.diverged = True


def parse(arguments: list[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return the options of the test and the other flags, those of fairseq-train."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.lr_range", description=__doc__.splitlines()[0],
        epilog="Other flags are passed to fairseq-train.", allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("data", help="data folder")
    parser.add_argument("--arch", required=True, help="architecture whose training flags are used")
    add_user_dir_argument(parser)
    parser.add_argument(
        "--lr-min", type=float, default=1e-5, help="first learning rate, above 0 (default: %(default)g)"
    )
    parser.add_argument("--lr-max", type=float, default=100, help="last learning rate (default: %(default)g)")
    parser.add_argument(
        "--updates", type=int, default=200, help="number of updates, at least 10 (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, help="folder of the results (default: exp/lr_range/ARCH)")
    options, flags = parser.parse_known_args(arguments)
    options.out = options.out or Path("exp/lr_range", options.arch)
    for flag in (flag.split("=")[0] for flag in flags):
        if flag in OURS:
            parser.error(f"the range test sets {flag}: give {OURS[flag]} instead")
    if not 0 < options.lr_min < options.lr_max:
        parser.error(f"--lr-min {options.lr_min:g} must be positive and below --lr-max {options.lr_max:g}")
    if options.updates < FEWEST:
        parser.error(f"--updates is {options.updates}: it must be at least {FEWEST}")
    return options, flags


def measure(options: argparse.Namespace, flags: list[str]) -> None:
    """Run the test, and write and print its results; the caller holds the lock of the folder --out.

    Raises:
        SystemExit: the folder has results already, or training failed
    """
    if (options.out / "lr_range.json").exists():
        raise SystemExit(f"error: {options.out} holds the results of an earlier test: give another --out")
    command, test = command_of(options, flags), RangeTest(options.lr_min)
    run(command, options.out / "train.log", test)
    if not test.points:
        raise SystemExit(f"error: the first update diverged at {options.lr_min:g}: give a lower --lr-min")
    suggestion = suggest(test.points)
    result = {
        "command": shlex.join(command),
        "diverged": test.diverged,
        "suggestion": suggestion,
        "points": [point._asdict() for point in test.points],
    }
    (options.out / "lr_range.txt").write_text(table(test.points) + "\n")
    draw(test.points, suggestion, options.out / "lr_range.png", f"{options.arch}, learning-rate range test")
    with atomically(options.out / "lr_range.json") as part:  # written last: it marks the test as complete
        part.write_text(json.dumps(result, indent=1) + "\n")

    print("\n" + table(test.points[:: -(-len(test.points) // ROWS)]))
    last, lowest = test.points[-1], min(test.points, key=lambda point: point.smoothed)
    if test.diverged:
        print(f"\nthe loss diverged at a learning rate of {last.lr:.3g}")
    elif lowest.smoothed == last.smoothed:
        print(f"\nthe loss is still falling at {last.lr:.3g}: a higher --lr-max may give a better suggestion")
    print(f"lowest loss at {lowest.lr:.3g}; suggested --lr:")
    for name, rate in suggestion.items():
        print(f"  {rate:.2g}  ({name})")
    print("wrote " + ", ".join(str(options.out / f"lr_range.{kind}") for kind in ("json", "txt", "png")))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    options, flags = parse(arguments)
    end_quietly_by_interrupt()
    make_folder(options.out)
    with locked(options.out):  # the log and the results of two tests would be mixed
        measure(options, flags)


if __name__ == "__main__":
    main()
