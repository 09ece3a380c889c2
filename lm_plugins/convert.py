"""Convert models of other projects to checkpoints of lm_plugins, and these to plain tensors and back.

    python -m lm_plugins.convert SOURCE OUT [--vocabulary FILE] [--to checkpoint | safetensors]

SOURCE is a file saved by awd-lstm-lm, mos or fastai, a checkpoint of lm_plugins, or a folder with
model.safetensors. Nothing that a pickle names is imported or run.
"""

import argparse
import json
import logging
from typing import Any

from lm_plugins.converting.conversion import convert
from lm_plugins.converting.vocabulary import FORMS
from lm_plugins.data.text_json import LEVELS
from lm_plugins.excepthook import refusals_exit_with_2


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(
        prog="python -m lm_plugins.convert", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    result.add_argument(
        "source",
        help="a file saved by awd-lstm-lm, mos or fastai (learn.save), a checkpoint of lm_plugins, or a "
        "folder with model.safetensors and config.json",
    )
    result.add_argument("out", help="folder to write; if it exists, it must be empty")
    result.add_argument(
        "--vocabulary", metavar="PATH", help=f"vocabulary of a model of another project: {FORMS}"
    )
    result.add_argument(
        "--to",
        choices=("checkpoint", "safetensors"),
        default="checkpoint",
        help="format to write (default: checkpoint)",
    )
    result.add_argument(
        "--data",
        help="folder with the dict.txt of a checkpoint of lm_plugins (default: named by the checkpoint)",
    )
    result.add_argument(
        "--text-level", choices=LEVELS, help="what a token of the other project's model is (default: word)"
    )
    result.add_argument("--json", action="store_true", help="print the result as JSON")
    return result


def report(result: dict[str, Any]) -> str:
    """Return the result of :func:`convert` as lines of text."""
    lines = [
        f"{result['model']} of {result['project']}: {result['parameters']:,} parameters, "
        f"{result['words']:,} words"
    ]
    if result["absent"]:
        absent = ", ".join(result["absent"])
        lines.append(f"special symbols that its vocabulary lacks (probability 0): {absent}")
    return "\n".join([*lines, *(f"  {path}" for path in result["files"])])


def main() -> None:
    """Run the command line; exit with status 2 if the conversion is refused."""
    options = parser().parse_args()
    logging.getLogger().setLevel(logging.WARNING)  # fairseq's modules have configured it
    with refusals_exit_with_2():
        result = convert(
            options.source, options.out, options.vocabulary, options.to, options.data, options.text_level
        )
    print(json.dumps(result) if options.json else report(result))


if __name__ == "__main__":
    main()
