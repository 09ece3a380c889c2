"""Search for better flags of an architecture, with Optuna.

    python -m recipes.search DATA --arch lstm_mos_bm --study exp/search/mos.db --trials 20 [flags ...]

Each trial is a fairseq-train with flags drawn from a space; its score is the best validation loss, and
it is stopped early if it falls behind (median pruning by the validation loss of each epoch). The study is
an SQLite file: run the same line again to go on, and run it several times at once for parallel workers.
Further flags go to every fairseq-train. At the end: a table, a picture, and the best trial's flags.

The default space is that of Zhang 2018, appendix A.2, for --arch lstm_mos_bm; another one is a JSON file with
{flag: [low, high]}, {flag: [low, high, "log"]} or {flag: {"choices": [...]}}.
"""

import argparse
import json
import logging
import shlex
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

from recipes.logs import logged
from recipes.plots import log_scale, picture, whole_numbers

ROOT = Path(__file__).resolve().parent.parent


def thesis(trial):
    """{flag: value}: Zhang 2018, table A.2, of mixtures of softmaxes on Penn Treebank.

    Its learning rate and norm are for gradients that are summed over a window, fairseq's for their mean: both
    are converted. batch x window x units is at most 1.2 million, or the trial is pruned.
    """
    import optuna

    window, streams = trial.suggest_int("window", 20, 50), trial.suggest_int("streams", 10, 30)
    units, norm = trial.suggest_int("units", 500, 1500, step=50), trial.suggest_float("norm", 5, 10)
    if streams * window * units > 1_200_000:
        raise optuna.TrialPruned()
    dropout = trial.suggest_float("dropout", 0.5, 0.7)
    return {
        "--init-range": (scale := trial.suggest_float("initial scale", 0.001, 0.1)),
        "--rnn-init-range": scale,
        "--lr": 1.0 * window,
        "--clip-norm": norm / window,
        "--decoder-layers": trial.suggest_int("layers", 1, 3),
        "--decoder-hidden-size": units,
        "--decoder-embed-dim": units,
        "--batch-size": streams,
        "--tokens-per-sample": window,
        "--dropout": dropout,
        "--hidden-dropout": dropout,
        "--input-dropout": dropout,
        "--n-experts": trial.suggest_int("components", 2, 20),
    }


def described(space):
    """The function of a trial that draws from a `space` like that of a JSON file."""

    def draw(trial):
        found = {}
        for flag, limits in space.items():
            if isinstance(limits, dict):
                found[flag] = trial.suggest_categorical(flag, limits["choices"])
                continue
            low, high, *log = limits
            whole = isinstance(low, int) and isinstance(high, int)
            suggest = trial.suggest_int if whole else trial.suggest_float
            found[flag] = suggest(flag, low, high, log=bool(log))
        return found

    return draw


def train(command, log, report):
    """Runs `command`; ``report(epoch, bits)`` is told of each validation and returns whether to stop.

    Returns:
        the best validation loss in bits, or None if training failed or was stopped
    """
    best = None
    with open(log, "w") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for line in process.stdout:
            file.write(line)
            for entry in logged(line, "valid"):
                bits = float(entry["valid_loss"])
                best = bits if best is None else min(best, bits)
                if report(entry["epoch"], bits):
                    process.kill()
                    process.wait()
                    return None
        status = process.wait()
    return best if status == 0 else None


def objective(options, flags, draw, folder):
    import optuna

    def run(trial):
        drawn = draw(trial)
        save = folder / f"trial{trial.number}"
        save.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable, "-m", "fairseq_cli.train", options.data, "--user-dir", "lm_plugins",
            "--arch", options.arch, "--save-dir", str(save), "--no-epoch-checkpoints",
            "--no-last-checkpoints", "--log-format", "json", "--no-progress-bar", *flags,
            *(part for flag, value in drawn.items() for part in (flag, str(value))),
        ]  # fmt: skip
        trial.set_user_attr("command", shlex.join(command[1:]))

        def report(epoch, bits):
            trial.report(bits, epoch)
            return trial.should_prune()

        best = train(command, save / "train.log", report)
        if best is None:
            raise optuna.TrialPruned()  # behind the others, or diverged: the log tells
        return best

    return run


def finished(study):
    return [trial for trial in study.trials if trial.state.name == "COMPLETE"]


def table(study):
    """The finished trials, best first."""
    done = sorted(finished(study), key=lambda trial: trial.value)
    names = sorted({name for trial in done for name in trial.params})
    lines = ["| trial | valid ppl | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 2)]
    for trial in done:
        values = [str(trial.params[name])[:8] for name in names]
        lines.append(f"| {trial.number} | {2**trial.value:.2f} | " + " | ".join(values) + " |")
    return "\n".join(lines)


def draw_history(study, path):
    done = finished(study)
    best = list(accumulate((2**t.value for t in done), min))
    with picture(path) as figure:
        axes = figure.subplots()
        axes.scatter([t.number for t in done], [2**t.value for t in done], label="a trial")
        axes.step([t.number for t in done], best, where="post", color="black", label="the best so far")
        axes.set(xlabel="trial", ylabel="validation perplexity")
        axes.legend()
        log_scale(axes)
        axes.grid(axis="y", alpha=0.3)
        whole_numbers(axes)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="further flags: fairseq-train's"
    )
    parser.add_argument("data", help="data-bin folder")
    parser.add_argument("--arch", required=True)
    parser.add_argument("--study", type=Path, required=True, help="SQLite file; trials go beside it")
    parser.add_argument("--trials", type=int, default=20, help="of this worker")
    parser.add_argument("--space", type=Path, help="JSON file in place of the thesis's space")
    parser.add_argument(
        "--sampler", choices=["random", "bayesian"], default="bayesian",
        help="random search, or Bayesian optimisation (tree-structured Parzen estimator)",
    )  # fmt: skip
    parser.add_argument("--search-seed", type=int, help="of the sampler")
    options, flags = parser.parse_known_args()
    import optuna

    draw = described(json.loads(options.space.read_text())) if options.space else thesis
    options.study.parent.mkdir(parents=True, exist_ok=True)
    samplers = {"random": optuna.samplers.RandomSampler, "bayesian": optuna.samplers.TPESampler}
    study = optuna.create_study(
        study_name=options.arch,
        storage=f"sqlite:///{options.study.resolve()}",
        sampler=samplers[options.sampler](seed=options.search_seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
        load_if_exists=True,
    )
    logging.getLogger("optuna").setLevel(logging.INFO)
    folder = options.study.with_suffix("").resolve()
    study.optimize(objective(options, flags, draw, folder), n_trials=options.trials)
    if not finished(study):
        sys.exit(f"error: no trial was finished: see {folder}/trial*/train.log")
    print(table(study))
    draw_history(study, options.study.with_suffix(".png"))
    best = study.best_trial
    print(f"best: trial {best.number}, valid perplexity {2**best.value:.2f}:\n  {best.user_attrs['command']}")


if __name__ == "__main__":
    main()
