"""Train and evaluate a small QRNN on the Python language reference, in about two minutes (`make demo`).

The demo runs the commands that a user would type, and compares the perplexity with those of n-gram models on
the same tokens. All its files are in FOLDER: the text, the binarized corpus, the files of an experiment
(checkpoints, logs, results, curves.png, sample.txt), and result.json. Other arguments go to fairseq-train.
"""

import argparse
import json
import shlex
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from preprocess import topics
from preprocess.lock import LOCK, locked
from recipes import evaluate
from recipes.checkpoints import TRAINED, trained_checkpoint
from recipes.curves import curves, draw
from recipes.experiment import SUBSETS, results
from recipes.files import make_folder
from recipes.logs import begin, logged
from recipes.ngram_baseline import NgramBaseline
from recipes.processes import end_quietly_by_interrupt, piped
from recipes.progress import duration, follow, show_error
from recipes.report import activation, sample
from recipes.stages import by_flag
from recipes.text_table import aligned

ROOT = Path(__file__).resolve().parent.parent
MARK = ".lm_plugins-demo"  # marks a folder that the demo made and may replace
BIGRAM = "interpolated bigram"


@contextmanager
def emptied(folder: Path) -> Iterator[None]:
    """Make an empty `folder`, replacing what an earlier demo made, and hold its lock; wait for another demo.

    The lock and the mark are never removed: a demo that waits has opened the one, and looks for the other.
    """
    check(folder)  # before its lock is made
    with locked(folder):
        check(folder)
        (folder / MARK).touch()
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in (LOCK, MARK):
                path.unlink()
        make_folder(folder / "logs")
        yield


def check(folder: Path) -> None:
    """Refuse a `folder` with files that the demo did not make."""
    others = [path for path in folder.iterdir() if path.name != LOCK] if folder.is_dir() else []
    if others and not (folder / MARK).exists():
        raise SystemExit(f"error: {folder} holds files that the demo did not make: give another --folder")


def named(folder: Path) -> Path:
    """Return the name of `folder` for commands that run in this repository: absolute if it is outside."""
    folder = folder.resolve()
    inside = Path.cwd().resolve() == ROOT and folder.is_relative_to(ROOT)
    return folder.relative_to(ROOT) if inside else folder


def fairseq(program: str, arguments: list[object], log: Path) -> None:
    """Run ``fairseq-<program> arguments``, show its progress, and keep its output in `log`."""
    arguments = list(map(str, arguments))
    begin(log, [f"fairseq-{program}", *arguments])
    start = [sys.executable, "-m", f"fairseq_cli.{program.replace('-', '_')}"]
    with piped([*start, *arguments], cwd=ROOT) as process:
        last = follow(process.stdout, log)
    show_error(last)
    if process.returncode:
        raise SystemExit(f"error: fairseq-{program} failed: see the output above; the log is {log}")


def binarize(folder: Path) -> Path:
    """Write and binarize the text, and return the data-bin."""
    text = folder / "text"
    for split, tokens in topics.write(text).items():
        print(f"{split:6s}{tokens:7,} tokens in {text / split}.txt")
    prefixes = [word for s in topics.SPLITS for word in (f"--{s}pref", text / f"{s}.txt")]
    # Words that occur once in training become <unk>, so that the model learns it.
    options = ["--only-source", "--thresholdsrc", "2", "--padding-factor", "1"]
    data = folder / "data-bin"
    fairseq("preprocess", [*options, *prefixes, "--destdir", data], folder / "logs/preprocess.log")
    return data


def baselines(data: Path) -> dict[str, dict[str, float]]:
    """Return {name: {subset: perplexity}} of the n-gram models."""
    from fairseq.data import Dictionary
    from fairseq.data.indexed_dataset import make_dataset

    def tokens(split: str) -> np.ndarray:
        sentences = make_dataset(str(data / split), "mmap")
        return np.concatenate([sentences[number].numpy() for number in range(len(sentences))])

    symbols = Dictionary.load(str(data / "dict.txt"))
    train, valid, test = map(tokens, topics.SPLITS)
    ngrams = NgramBaseline(train, len(symbols), symbols.eos(), (symbols.bos(), symbols.pad())).fit(valid)
    on_valid, on_test = ngrams.perplexities(valid), ngrams.perplexities(test)
    return {name: {"valid": on_valid[name], "test": on_test[name]} for name in on_test}


def next_commands(folder: Path, data: Path) -> str:
    """Return the commands to try next."""
    best, cache = str(trained_checkpoint(folder)), str(folder / "cache.json")
    evaluation = ["fairseq-eval-lm", str(data), "--user-dir", "lm_plugins", "--path", best]
    lines = [
        *activation(),
        shlex.join(["python", "-m", "recipes.sample", str(folder), "the import statement"]),
        shlex.join([*evaluation, "--gen-subset", "valid", "--cache-tune", cache]),
        shlex.join([*evaluation, "--gen-subset", "test", "--cache-from", cache]),
        shlex.join(["python", "-m", "recipes.demo", "--folder", f"{folder}-seed2", "--seed", "2"]),
        "recipes/text/qrnn.sh --source FILE          # your own text",
    ]
    return "\n".join(["next:", *(f"  {line}" for line in lines)])


def run(folder: Path, arch: str, flags: list[str]) -> None:
    """Make the files of the demo in the empty `folder`, and print its figures.

    Args:
        arch: the architecture that is trained
        flags: other flags of fairseq-train
    """
    began = time.monotonic()
    data, log = binarize(folder), folder / "logs/train.log"
    training = ["--user-dir", "lm_plugins", "--arch", arch, "--save-dir", folder / TRAINED]
    logs = ["--log-format", "json", "--log-interval", "10"]
    fairseq("train", [data, *training, *logs, *flags], log)
    cpu = ["--cpu"] if "--cpu" in flags else []
    evaluate.main([str(folder), str(data), "--plain", *cpu])

    perplexity = baselines(data)
    scores = {subset: results(folder, "plain", subset) for subset in SUBSETS}
    perplexity[arch] = {subset: score["perplexity"] for subset, score in scores.items()}
    output = log.read_text()
    result = {
        "test tokens": scores["test"]["targets"],
        "test perplexity": {name: by_subset["test"] for name, by_subset in perplexity.items()},
        "validation perplexity by epoch": [float(one["valid_ppl"]) for one in logged(output, "valid")],
        "training tokens/s": statistics.median(float(one["train_wps"]) for one in logged(output, "train")),
        "seconds in all": round(time.monotonic() - began, 1),
        "checkpoint": str(trained_checkpoint(folder)),
    }
    (folder / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    level = f"{BIGRAM}, validation", perplexity[BIGRAM]["valid"]
    draw({arch: curves(folder)}, folder / "curves.png", level)

    rows = [
        [f"  {name}", *(f"{by_subset[subset]:.2f}" for subset in SUBSETS)]
        for name, by_subset in perplexity.items()
    ]
    print("\n" + aligned([["perplexity", "valid", "test"], *rows]))
    speed, total = f"{result['training tokens/s']:,.0f} tokens/s", duration(result["seconds in all"])
    print(f"\ntrained at {speed}, {total} in all")
    print(f"checkpoint {result['checkpoint']}\nfigures    {folder / 'result.json'}, {folder / 'curves.png'}")
    print(f"\n{sample(folder)}\n\n{next_commands(folder, data)}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, usage="%(prog)s [--folder FOLDER] [--arch ARCH] [flags ...]", allow_abbrev=False
    )
    parser.add_argument("--folder", type=Path, default=Path("exp/demo"), help="folder for all files")
    parser.add_argument("--arch", "-a", default="qrnn_small", help="architecture (default: %(default)s)")
    options, flags = parser.parse_known_args()
    if "--save-dir" in by_flag(flags):
        parser.error("the demo sets --save-dir: give --folder instead")
    end_quietly_by_interrupt()
    with emptied(options.folder):
        run(named(options.folder), options.arch, flags)


if __name__ == "__main__":
    main()
