"""Search for better flags of an architecture, with Optuna.

    python -m recipes.search DATA --arch awd_lstm_ptb --study exp/search/awd.db --trials 20 [flags ...]

Each trial is a run of fairseq-train with flags drawn from the space of the architecture's family
(recipes/search_spaces.py) or of --space FILE. Its score is the best validation loss. A trial whose validation
loss is above the median of the earlier trials is stopped early (median pruning after each epoch). Other
flags are passed to every fairseq-train, and are not drawn. The study is an SQLite file: run the same command
again to continue it, and run it several times at once for parallel workers. At the end the search prints a
table and the best trial's command, and draws two pictures.
"""

import argparse
import logging
import os
import platform
import resource
import shlex
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

try:
    import optuna
except ImportError as error:
    raise SystemExit("error: recipes.search needs Optuna: pip install optuna") from error
from fairseq.utils import import_user_module
from optuna import Study, Trial
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from lm_plugins.command_line import typed_flags
from lm_plugins.errors import Refused
from lm_plugins.training_flags import check_arch
from preprocess.lock import locked
from recipes.files import check_output, make_folder
from recipes.logs import DIVERGED, logged
from recipes.plots import DPI
from recipes.plugin import LM_PLUGINS, add_user_dir_argument
from recipes.processes import ONE_PROCESS, end_quietly_by_interrupt, piped
from recipes.progress import say
from recipes.samplers import (
    DEFAULT,
    GRID,
    SAMPLERS,
    WORKER,
    fail_killed,
    next_point,
    pruner,
    queue_grid,
    sampler,
)
from recipes.search_spaces import OURS, Draw, of_arch, of_file
from recipes.stages import CONTENT, by_flag, digest

DRAWN = "drawn"  # attribute of a trial: its flags as they were typed


class Failed(Exception):
    """Raised with the error message with which training ended."""


def train(command: list[str], log: Path, report: Callable[[int, float], bool]) -> float | None:
    """Run `command`, and call ``report(epoch, bits)``, which returns whether to stop, for each validation.

    Returns:
        the best validation loss in bits, or None if training was stopped

    Raises:
        Failed: training ended with an error, or without a validation
        SystemExit: a signal was passed on to it
    """
    best, line, stopped = None, "", False
    with open(log, "w", buffering=1) as file, piped(command) as process:
        for line in process.stdout:
            file.write(line)
            for entry in logged(line, "valid"):
                bits = float(entry["valid_loss"])
                best = bits if best is None else min(best, bits)
                stopped = stopped or report(entry["epoch"], bits)
            if stopped:
                process.kill()
                break
    if stopped:
        return None
    if process.returncode != 0:
        raise Failed(line.strip() or f"fairseq-train ended with status {process.returncode}")
    if best is None:
        raise Failed("fairseq-train ended before its first validation")
    return best


def command_of(options: argparse.Namespace, flags: list[str], drawn: dict[str, Any], save: Path) -> list[str]:
    """Return the fairseq-train command of a trial, as a user can type it."""
    return [
        "fairseq-train", options.data, "--user-dir", options.user_dir, "--arch", options.arch,
        "--save-dir", str(save), "--no-epoch-checkpoints", "--no-last-checkpoints", "--log-format", "json",
        "--no-progress-bar", *ONE_PROCESS, *flags,
        *(word for flag, value in drawn.items() for word in (flag, typed_value(value))),
    ]  # fmt: skip


def typed_value(value: Any) -> str:
    """Return `value` as text for the command line."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def run(
    trial: Trial, options: argparse.Namespace, flags: list[str], draw: Draw, folder: Path
) -> tuple[TrialState, float | None, str]:
    """Train one trial.

    Returns:
        (its state, its validation loss in bits or None, why it was not completed)
    """
    save = folder / f"trial{trial.number}"

    def report(epoch: int, bits: float) -> bool:
        trial.report(bits, epoch)
        return trial.should_prune()

    before = processor_seconds()
    trial.set_user_attr(WORKER, [platform.node(), os.getpid()])
    try:
        drawn = draw(trial)
        command = command_of(options, flags, drawn, save)
        trial.set_user_attr(DRAWN, {flag: typed_value(value) for flag, value in drawn.items()})
        trial.set_user_attr("command", shlex.join(command))
        save.mkdir(parents=True, exist_ok=True)
        best = train([sys.executable, "-m", "fairseq_cli.train", *command[1:]], save / "train.log", report)
    except optuna.TrialPruned as outside:
        return TrialState.PRUNED, None, str(outside)
    except Failed as failure:
        diverged = DIVERGED.search(str(failure))
        return TrialState.PRUNED if diverged else TrialState.FAIL, None, str(failure)
    trial.set_user_attr("processor_seconds", round(processor_seconds() - before, 1))
    if best is None:
        return TrialState.PRUNED, None, "its loss is above the median of the other trials"
    return TrialState.COMPLETE, best, ""


def processor_seconds() -> float:
    """Return the processor time of the finished training runs, which does not depend on other programs."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def search(
    study: Study,
    ask: Callable[[], Trial | None],
    trials: int,
    run_trial: Callable[[Trial], tuple[TrialState, float | None, str]],
) -> None:
    """Run `trials` trials, or as many as `ask` returns before it returns None.

    A failure before any validation ends the search, because every trial would fail.
    """
    for _ in range(trials):
        if (trial := ask()) is None:
            return
        try:
            state, bits, reason = run_trial(trial)
        except BaseException:  # interrupted: other workers must not wait for this trial
            study.tell(trial, state=TrialState.FAIL)
            raise
        study.tell(trial, bits, state)
        if state == TrialState.FAIL and not was_validated(study):
            sys.exit(f"error: the search stops because its first trial failed: {reason}")
        outcome = f"valid perplexity {2**bits:.2f}" if bits is not None else f"{state.name.lower()}: {reason}"
        say(f"trial {trial.number}: {outcome}")


def was_validated(study: Study) -> bool:
    """Return whether any trial got as far as a validation."""
    return any(trial.intermediate_values for trial in study.trials)


def completed(study: Study) -> list[FrozenTrial]:
    """Return the completed trials."""
    return study.get_trials(states=(TrialState.COMPLETE,))


def table(study: Study) -> str:
    """Return the table of the completed trials, best first."""
    done = sorted(completed(study), key=lambda trial: trial.value)
    names = sorted({name for trial in done for name in drawn_by(trial)})
    lines = ["| trial | valid ppl | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 2)]
    for trial in done:
        values = [drawn_by(trial).get(name, "-") for name in names]
        lines.append(f"| {trial.number} | {2**trial.value:.2f} | " + " | ".join(values) + " |")
    return "\n".join(lines)


def drawn_by(trial: FrozenTrial) -> dict[str, str]:
    """Return {flag: value as it was typed} of a trial; an earlier version recorded its parameters only."""
    earlier = {name: typed_value(value) for name, value in trial.params.items()}
    return trial.user_attrs.get(DRAWN, earlier)


def draw_pictures(study: Study, path: Path) -> None:
    """Draw the history next to the study, and the importance of each flag if two trials differ."""
    import matplotlib

    matplotlib.use("Agg")
    from optuna.visualization.matplotlib import plot_optimization_history, plot_param_importances

    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    history = plot_optimization_history(study, target_name="validation loss (bits)")
    history.xaxis.get_major_locator().set_params(integer=True)
    figures = {".png": history.figure}
    if len({trial.value for trial in completed(study)}) > 1:
        figures[".importances.png"] = plot_param_importances(study, target_name="validation loss").figure
    for suffix, figure in figures.items():
        figure.savefig(path.with_suffix(suffix), dpi=DPI, bbox_inches="tight")
        print(f"picture: {path.with_suffix(suffix)}")


def open_study(options: argparse.Namespace, flags: list[str]) -> Study:
    """Open or create the study; architecture, data, flags and space must be the same for all its trials."""
    storage = f"sqlite:///{options.study.resolve()}"
    try:
        others = [name for name in optuna.get_all_study_names(storage) if name != options.arch]
        if others:
            sys.exit(
                f"error: the study {options.study} belongs to --arch {others[0]}, and the trials of both "
                "would be in one folder: give another --study"
            )
        study = optuna.create_study(
            study_name=options.arch, storage=storage, pruner=pruner(options.sampler), load_if_exists=True
        )
    except (SQLAlchemyError, optuna.exceptions.OptunaError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SystemExit(
            f"error: --study {options.study} is not a study ({reason}): give a new file"
        ) from error
    space = options.space.read_text() if options.space else ""
    compared = {"data": digest(options.data, CONTENT["data"]), "flags": flags, "space": space}
    before = study.user_attrs.get("compared", compared) if was_validated(study) else compared
    for what in compared:
        if before[what] != compared[what]:
            shown = "" if what == "data" else f", {before[what]}"
            sys.exit(
                f"error: the study {options.study} differs in its {what}{shown}: give the same, or another "
                "--study"
            )
    study.set_user_attr("compared", compared)
    study.sampler = sampler(options.sampler, options.search_seed, len(study.get_trials(deepcopy=False)))
    fail_killed(study)
    return study


def check(options: argparse.Namespace, flags: list[str]) -> None:
    """Refuse options that would make every trial fail, or one overwrite another, before the study is opened.

    Raises:
        SystemExit: the message names the option.
    """
    for folder in options.data.split(":"):
        if not Path(folder, "dict.txt").is_file():
            sys.exit(f"error: {folder or '(empty)'} holds no dict.txt: give a data-bin folder")
    study = options.study
    if study.suffix in ("", ".png") or set("?%#") & set(str(study)):
        sys.exit(
            f"error: --study {study} is not the name of a study: give one like exp/search/{options.arch}.db"
        )
    if options.trials < 1:
        sys.exit(f"error: --trials is {options.trials}: it must be at least 1")
    for flag in by_flag(flags):
        if flag in OURS:
            sys.exit(f"error: the search sets {flag}: leave it out")
    if options.search_seed is not None and options.search_seed < 0:
        sys.exit(f"error: --search-seed is {options.search_seed}: it must be at least 0")
    make_folder(study.parent)
    if not study.exists():
        folder = study.with_suffix("")
        if any(folder.glob("trial*")):
            sys.exit(f"error: {folder} holds the trials of another study: give another --study")
        check_output(study)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="Other flags are passed to fairseq-train.",
        allow_abbrev=False,
    )
    parser.add_argument("data", help="data-bin folder")
    parser.add_argument("--arch", required=True, help="architecture, whose family defines the space")
    add_user_dir_argument(parser)
    parser.add_argument("--study", type=Path, required=True, help="SQLite file; trials are saved next to it")
    parser.add_argument(
        "--trials", type=int, default=20, help="number of trials of this worker, at least 1 (default: 20)"
    )
    parser.add_argument("--space", type=Path, help="JSON file that replaces the family's space")
    parser.add_argument(
        "--sampler", choices=SAMPLERS, default=DEFAULT,
        help="random: random search; tpe, gp: Bayesian optimisation with a tree-structured Parzen estimator "
        "or a Gaussian process; grid: every point of --space, without pruning; bayesian: tpe",
    )  # fmt: skip
    parser.add_argument(
        "--search-seed", type=int, help="seed of the sampler; parallel workers need different ones"
    )
    options, flags = parser.parse_known_args()
    end_quietly_by_interrupt()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # fairseq lets every logger say everything
    check(options, flags)
    typed = typed_flags(flags)
    if not LM_PLUGINS.samefile(options.user_dir):  # this package is imported already
        import_user_module(options)
    try:
        check_arch(options.arch)
        draw = of_file(options.space, typed) if options.space else of_arch(options.arch, typed)
    except Refused as refusal:
        sys.exit(f"error: {refusal}")
    study = open_study(options, flags)
    folder, ask = options.study.with_suffix(""), study.ask
    if options.sampler == GRID:
        with locked(folder):
            queue_grid(study, options.space, typed)
        ask = partial(next_point, study, folder)
    search(study, ask, options.trials, lambda trial: run(trial, options, flags, draw, folder))
    if not completed(study):
        sys.exit(f"error: no trial was completed: see {folder}/trial*/train.log")
    print(table(study))
    draw_pictures(study, options.study)
    best = study.best_trial
    print(f"best: trial {best.number}, valid perplexity {2**best.value:.2f}:\n  {best.user_attrs['command']}")


if __name__ == "__main__":
    main()
