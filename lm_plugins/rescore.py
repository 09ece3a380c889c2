"""Rescore n-best lists of speech recognition or translation with a language model.

    python -m lm_plugins.rescore dev.tsv --path checkpoints --references dev.ref.tsv --tune search.json
    python -m lm_plugins.rescore test.tsv --path checkpoints --alpha 0.5 --beta 1 --output best.tsv

See docs/rescoring.md.
"""

import argparse
import logging
import sys
from typing import Any

from lm_plugins.rescoring.options import alpha_and_beta, argument_parser, check_options
from lm_plugins.rescoring.results import Rescored
from lm_plugins.standard_output import open_standard_output, reader_may_end


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit with status 2 and one sentence if it is refused."""
    parser = argument_parser(__doc__.splitlines()[0])
    options = parser.parse_args(arguments)
    open_standard_output()
    logging.getLogger().setLevel(logging.WARNING)  # fairseq's modules have configured it
    from lm_plugins.excepthook import refusals_exit_with_2
    from lm_plugins.rescoring.outputs import best_lines, write
    from lm_plugins.rescoring.results import report

    try:
        with refusals_exit_with_2():
            rescored, models = rescore(options)
            write(rescored, options, models)
    except KeyboardInterrupt:
        parser.exit(130, "lm_plugins: interrupted\n")
    to_stdout = options.output is None and options.tune is None
    with reader_may_end():
        print("\n".join(best_lines(rescored) if to_stdout else report(rescored)))
    if to_stdout:
        print("\n".join(report(rescored)), file=sys.stderr)


def rescore(options: argparse.Namespace) -> tuple[Rescored, dict[str, Any]]:
    """Return the rescored lists, and the facts of the models for the JSON file.

    Raises:
        Refused: an option, a line of a file, or a model cannot be used
    """
    from fairseq.utils import import_user_module
    from tqdm import tqdm

    from lm_plugins.data.level import has_line_ends
    from lm_plugins.ensembles import load_typed_ensemble
    from lm_plugins.hub import default_device
    from lm_plugins.rescoring.language_scores import LanguageScores
    from lm_plugins.rescoring.nbest import read_nbest, read_references
    from lm_plugins.rescoring.search import ALPHAS, BETAS, search
    from lm_plugins.rescoring.totals import list_scores
    from lm_plugins.rescoring.word_errors import check_package, word_errors

    alphas, betas = alpha_and_beta(options, ALPHAS, BETAS)
    check_options(options)
    lists, errors, grid = read_nbest(options.nbest), None, None
    if options.references is not None:
        check_package()
        references = read_references(options.references, lists)
        errors = word_errors(lists, references)
    import_user_module(options)
    lm = load_typed_ensemble(options, default_device(options.cpu))
    eos = all(has_line_ends(model.folder) for model in lm.models)
    language = LanguageScores(lm, options.batch_size, eos)
    texts = {hypothesis.text for nbest in lists for hypothesis in nbest.hypotheses}
    with tqdm(total=len(texts), unit=" hypotheses", disable=None) as bar:
        scored = list_scores(lists, language.log_probs(lists, bar.update))
    alpha, beta = alphas[0], betas[0]
    if options.tune is not None:
        with tqdm(total=len(alphas), unit=" alphas", disable=None) as bar:
            grid = search(scored, errors, alphas, betas, bar.update)
        alpha, beta, _ = grid.best()
    named = [{"path": path, "weight": weight} for path, weight in zip(lm.paths, lm.weights, strict=True)]
    facts = {"tokens": language.tokens, "unknown": language.unknown, "models": named}
    return Rescored(lists, scored, alpha, beta, errors, grid), facts


if __name__ == "__main__":
    main()
