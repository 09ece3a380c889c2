"""`make demo`: trains and evaluates a small QRNN on the Python language reference, in some two minutes.

Runs the commands that a user would type, and compares the test perplexity with those of n-gram models
on the same tokens. All that it makes is in FOLDER: the text, the binarized corpus, the checkpoints,
the logs, result.json and curve.png. Further arguments go to fairseq-train.
"""

import argparse
import json
import logging
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from preprocess import topics
from recipes.logs import logged
from recipes.ngram_baseline import NgramBaseline

ROOT = Path(__file__).resolve().parent.parent
MARK = ".lm_plugins-demo"  # in a folder that the demo made, and may make anew


def empty(folder):
    """A new `folder`, in place of one that an earlier demo made."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise SystemExit(f"error: {folder} holds other files than a demo's: give another --folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).touch()


def fairseq(program, arguments, log, show=lambda line: None):
    """Runs ``fairseq-<program> arguments``; every line goes to the file `log` and to `show`.

    Returns:
        the output, as one text
    """
    print(f"$ {shlex.join([f'fairseq-{program}', *map(str, arguments)])}", flush=True)
    command = [sys.executable, "-m", f"fairseq_cli.{program.replace('-', '_')}", *map(str, arguments)]
    lines = []
    with (
        open(log, "w") as file,
        subprocess.Popen(
            command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process,
    ):
        for line in process.stdout:
            lines.append(line)
            file.write(line)
            show(line)
    if process.returncode:
        print("".join(lines[-8:]), file=sys.stderr)
        raise SystemExit(f"error: fairseq-{program} failed, its last words are above, all of them in {log}")
    return "".join(lines)


def show_epoch(line):
    for epoch in logged(line, "valid"):
        print(f"  epoch {epoch['epoch']:3d}   valid perplexity {float(epoch['valid_ppl']):7.2f}", flush=True)


def binarize(folder):
    text = folder / "text"
    for split, tokens in topics.write(text).items():
        print(f"{split:6s}{tokens:7,} tokens in {text / split}.txt")
    prefixes = [part for s in topics.SPLITS for part in (f"--{s}pref", text / f"{s}.txt")]
    # A word that training saw once becomes <unk>, so that the model learns what to expect of it.
    options = ["--only-source", "--thresholdsrc", "2", "--padding-factor", "1"]
    data = folder / "data-bin"
    fairseq("preprocess", [*options, *prefixes, "--destdir", data], folder / "preprocess.log")
    return data


def baselines(data):
    """({name: test perplexity}, number of test tokens)"""
    from fairseq.data import Dictionary
    from fairseq.data.indexed_dataset import make_dataset

    def tokens(split):
        sentences = make_dataset(str(data / split), "mmap")
        return np.concatenate([sentences[number].numpy() for number in range(len(sentences))])

    symbols = Dictionary.load(str(data / "dict.txt"))
    train, valid, test = map(tokens, topics.SPLITS)
    ngrams = NgramBaseline(train, len(symbols), symbols.eos(), (symbols.bos(), symbols.pad())).fit(valid)
    return ngrams.perplexities(test), len(test)


def draw(curve, ngrams, path):
    """The validation perplexity by epoch, in a picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    axes.plot(range(1, len(curve) + 1), curve, marker="o", label="qrnn_demo, validation")
    bigram = "interpolated bigram"
    axes.axhline(ngrams[bigram], color="grey", linestyle="--", label=f"{bigram}, test")
    axes.set(xlabel="epoch", ylabel="perplexity", yscale="log")
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")


def main():
    parser = argparse.ArgumentParser(description=__doc__, usage="%(prog)s [--folder FOLDER] [flags ...]")
    parser.add_argument("--folder", type=Path, default=Path("exp/demo"), help="where all of it goes")
    options, flags = parser.parse_known_args()
    logging.basicConfig(level=logging.WARNING)  # where the import of fairseq would say DEBUG
    folder, began = options.folder, time.monotonic()
    empty(folder)
    folder = folder.resolve()
    if folder.is_relative_to(Path.cwd()):
        folder = folder.relative_to(Path.cwd())

    data, checkpoints = binarize(folder), folder / "checkpoints"
    plugin = ["--user-dir", "lm_plugins"]
    output = fairseq(
        "train",
        [data, *plugin, "--arch", "qrnn_demo", "--save-dir", checkpoints, "--log-format", "json", *flags],
        folder / "train.log",
        show_epoch,
    )
    best = checkpoints / "checkpoint_best.pt"
    evaluated = fairseq("eval-lm", [data, *plugin, "--path", best], folder / "eval.log")

    ngrams, tokens = baselines(data)
    curve = [float(epoch["valid_ppl"]) for epoch in logged(output, "valid")]
    result = {
        "test tokens": tokens,
        "test perplexity": {**ngrams, "qrnn_demo": float(evaluated.split("Perplexity: ")[1].split()[0])},
        "validation perplexity by epoch": curve,
        "training tokens/s": statistics.median(float(e["train_wps"]) for e in logged(output, "train")),
        "seconds in all": round(time.monotonic() - began, 1),
        "checkpoint": str(best),
    }
    (folder / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    draw(curve, ngrams, folder / "curve.png")

    print(f"\ntest perplexity over all {tokens:,} tokens")
    for name, perplexity in result["test perplexity"].items():
        print(f"  {name:20s} {perplexity:8.2f}")
    print(f"trained at {result['training tokens/s']:,.0f} tokens/s, {result['seconds in all']:.0f} s in all")
    print(f"checkpoint {best}\nfigures    {folder / 'result.json'}, {folder / 'curve.png'}")


if __name__ == "__main__":
    main()
