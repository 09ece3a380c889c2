"""Answer --help with the options of the architecture, the task, the criterion and the optimizer.

fairseq's own help ends before it adds them, because they depend on the other flags.
"""

import sys

from fairseq import options

from lm_plugins.architectures.shared import COMMON
from lm_plugins.command_line import program_name, typed_flags
from lm_plugins.completion import complete, is_recurrent_task

HELP = {"-h", "--help"}
PARSERS = {
    "train": options.get_training_parser,
    "eval-lm": options.get_eval_lm_parser,
    "validate": options.get_validation_parser,
    "generate": options.get_generation_parser,
    "interactive": options.get_interactive_generation_parser,
}


def help_and_exit(argv: list[str]) -> None:
    """Print all options of the command `argv` and exit; leave a task that is not ours to fairseq."""
    program = program_name(argv[0])
    if program not in PARSERS:
        return
    argv = [argument for argument in argv if argument not in HELP]
    typed = typed_flags(argv)
    if program == "train" or "--path" in typed:
        argv = complete(argv)
    elif "--task" not in typed:  # nothing says which task the model belongs to
        argv += ["--task", COMMON["--task"]]
    if not is_recurrent_task(typed_flags(argv).get("--task")):
        return
    parser = PARSERS[program]()
    options.parse_args_and_arch(parser, ["DATA", *argv[1:]], parse_known=True)  # adds options to the parser
    parser.print_help()
    sys.exit()
