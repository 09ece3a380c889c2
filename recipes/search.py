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
import sys
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain, islice
from pathlib import Path

try:
    import optuna
except ImportError as error:
    raise SystemExit("error: recipes.search needs Optuna: run pip install '.[search]'") from error
from fairseq.utils import import_user_module
from optuna import Study, Trial
from optuna.trial import TrialState

from lm_plugins.command_line import typed_flags
from lm_plugins.errors import Refused
from lm_plugins.training_flags import check_arch
from preprocess.lock import locked
from recipes.files import make_folder
from recipes.plugin import LM_PLUGINS, add_user_dir_argument
from recipes.printing import say
from recipes.processes import end_quietly_by_interrupt
from recipes.samplers import DEFAULT, GRID, SAMPLERS, next_point, queue_grid, waiting_point
from recipes.search_spaces import OURS, of_arch, of_file
from recipes.search_study import completed, draw_pictures, open_study, still_running, table, was_validated
from recipes.search_trial import run
from recipes.stages import by_flag


def search(
    study: Study,
    asked: Iterable[Trial],
    run_trial: Callable[[Trial], tuple[TrialState, float | None, str]],
) -> None:
    """Run the trials that were `asked` for.

    A failure before any validation ends the search, because every trial would fail.
    """
    for trial in asked:
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


def check(options: argparse.Namespace, flags: list[str]) -> None:
    """Refuse options that would make every trial fail, or one overwrite another, before the study is opened.

    Raises:
        SystemExit: the message names the option.
    """
    for folder in options.data.split(":"):
        if not Path(folder, "dict.txt").is_file():
            sys.exit(f"error: {folder or '(empty)'} holds no dict.txt: give a data folder")
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


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="Other flags are passed to fairseq-train.",
        allow_abbrev=False,
    )
    parser.add_argument("data", help="data folder")
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
    folder, is_grid = options.study.with_suffix(""), options.sampler == GRID
    with locked(folder):  # until a trial runs: then a worker with other data is refused
        study = open_study(options, flags)
        if is_grid:
            queue_grid(study, options.space, typed)
        first = waiting_point(study) if is_grid else study.ask()
    ask = partial(next_point, study, folder) if is_grid else study.ask
    asked = islice(chain([first] if first else [], iter(ask, None)), options.trials)
    search(study, asked, lambda trial: run(trial, options, flags, draw, folder))
    for sentence in still_running(study, options.study):
        say(sentence)
    if not completed(study):
        sys.exit(f"error: no trial was completed: see {folder}/trial*/train.log")
    print(table(study))
    draw_pictures(study, options.study)
    best = study.best_trial
    print(f"best: trial {best.number}, valid perplexity {2**best.value:.2f}:\n  {best.user_attrs['command']}")


if __name__ == "__main__":
    main()
