"""Parse a command line of fairseq: the program that it starts, and the flags that were typed."""

import shlex
from pathlib import Path

from fairseq.dataclass.configs import FairseqConfig

from lm_plugins.flags import Flags, flag_of

ADDED_OPTIONS = "LM_PLUGINS_ADDOPTS"  # flags for every fairseq-train, like PYTEST_ADDOPTS for pytest
# -a and fairseq's second names of its options, such as --max-sentences for --batch-size.
ALIASES = {"-a": "--arch"} | {
    field.metadata["argparse_alias"]: flag_of(name)
    for group in FairseqConfig.__dataclass_fields__.values()
    for name, field in getattr(group.type, "__dataclass_fields__", {}).items()
    if "argparse_alias" in field.metadata
}


def program_name(path: str) -> str | None:
    """Return "train" for .../fairseq-train and for .../fairseq_cli/train.py, None for other programs."""
    path = Path(path)
    if path.parent.name == "fairseq_cli":
        return path.stem.replace("_", "-")
    return path.stem.removeprefix("fairseq-") if path.stem.startswith("fairseq-") else None


def typed_flags(arguments: list[str]) -> Flags:
    """Return {flag: value} of `arguments`, with aliases resolved; a flag without a value maps to None."""
    typed, flag = {}, None
    for argument in arguments:
        if argument.startswith("--") or argument in ALIASES:
            flag, _, value = argument.partition("=")
            flag = ALIASES.get(flag, flag)
            typed[flag] = value or None
        elif flag is not None and typed[flag] is None:
            typed[flag] = argument
    return typed


def missing_arguments(flags: Flags, typed: Flags) -> list[str]:
    """Return the command-line arguments for those of `flags` that were not typed."""
    pairs = [pair for pair in flags.items() if pair[0] not in typed]
    return [argument for pair in pairs for argument in pair if argument is not None]


def with_added_options(argv: list[str], options: str) -> list[str]:
    """Return `argv` with the flags of the text `options` added, except those that were typed.

    A typed ``--no-x`` counts as ``--x``, and vice versa.
    """
    typed, added = typed_flags(argv[1:]), typed_flags(shlex.split(options))
    kept = {flag: value for flag, value in added.items() if opposite(flag) not in typed}
    return [*argv, *missing_arguments(kept, typed)]


def opposite(flag: str) -> str:
    """Return the flag that switches a boolean option the other way: "--no-x" of "--x", and vice versa."""
    name = flag.removeprefix("--")
    return f"--{name.removeprefix('no-')}" if name.startswith("no-") else f"--no-{name}"
