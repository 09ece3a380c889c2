"""Export a trained model to ONNX, for onnxruntime.

    python -m lm_plugins.export checkpoints lm.onnx --int8

The file scores and samples without torch and fairseq (examples/onnx_lm.py, docs/export.md).
"""

import argparse
import importlib.util
import logging
from pathlib import Path
from typing import Any

PACKAGES = ("onnx", "onnxscript", "onnxruntime")  # of the extra `export`
TOKENS = 20_000  # of the text that measures an int8 model


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    from lm_plugins.user_dir import add_user_dir_argument

    parser = argparse.ArgumentParser(
        prog="python -m lm_plugins.export", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("checkpoint", help="a checkpoint, or a folder with a checkpoint_best.pt")
    parser.add_argument("output", metavar="OUT.onnx", type=Path, help="the file to write")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--step",
        dest="form",
        action="store_const",
        const="step",
        default="step",
        help="export (ids [B], state) -> (ln p of the next token [B, V], state), to sample and to score "
        "(default)",
    )
    form.add_argument(
        "--window",
        dest="form",
        action="store_const",
        const="window",
        help="export (ids [B, T], targets [B, T], state) -> (ln p of the targets [B, T], state), to score "
        "faster",
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="also write OUT.int8.onnx with 8-bit matrices, and compare its perplexity",
    )
    parser.add_argument(
        "--data", help="data folder with the dict.txt (default: the one named by the checkpoint)"
    )
    parser.add_argument(
        "--valid",
        metavar="FILE",
        help="text in UTF-8 on which --int8 is compared (default: the subset valid of the data folder)",
    )
    parser.add_argument(
        "--tokens",
        type=int,
        default=TOKENS,
        help=f"number of tokens of that text to read, at least 1 (default: {TOKENS})",
    )
    parser.add_argument("--json", metavar="FILE", help="also write the results to this file")
    add_user_dir_argument(parser)
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit with status 2 and one sentence if it is refused."""
    parser = argument_parser()
    options = parser.parse_args(arguments)
    logging.getLogger().setLevel(logging.WARNING)  # fairseq's imports lower it
    from lm_plugins.excepthook import refusals_exit_with_2

    with refusals_exit_with_2():
        print(table(export(options)))


def export(options: argparse.Namespace) -> dict[str, Any]:
    """Write the files that `options` ask for, all or none, and return what was measured.

    Raises:
        Refused: a package is missing, a path cannot be read or written, or the model cannot be exported.
    """
    check_options(options)
    from fairseq.utils import import_user_module

    from lm_plugins.data.level import SENTENCEPIECE
    from lm_plugins.exporting.files import write_files
    from lm_plugins.exporting.text import text_of_file, text_of_folder
    from lm_plugins.files import write_json
    from lm_plugins.hub import load

    import_user_module(options)
    model = load(options.checkpoint, options.data)
    text = None
    if options.int8 and options.valid:
        text = text_of_file(options.valid, model.encode)[: options.tokens]
    elif options.int8:
        text = text_of_folder(model.folder, model.dictionary)[: options.tokens]
    result = write_files(
        model.decoder,
        options.output,
        form=options.form,
        level=model.level,
        sentencepiece=Path(model.folder, SENTENCEPIECE) if model.level == "sentencepiece" else None,
        text=text,
    )
    if options.json:
        write_json(options.json, result)
    return result


def check_options(options: argparse.Namespace) -> None:
    """Check what can be checked before the model is loaded.

    Raises:
        Refused: a package is missing, options do not fit each other, or an output cannot be written.
    """
    from lm_plugins.errors import Refused
    from lm_plugins.exporting.files import check_output, written_files
    from lm_plugins.files import check_files
    from lm_plugins.ranges import at_least, check
    from lm_plugins.user_dir import check_user_dir

    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise Refused(f"an export needs the package {package}: run pip install '.[export]'")
    check("--tokens", options.tokens, at_least(1))
    if options.valid and not options.int8:
        raise Refused("--valid is the text that --int8 is measured on: give --int8 too, or leave it out")
    check_output(options.output)
    inputs = {"the checkpoint": options.checkpoint, "--valid": options.valid}
    check_files({"--json": options.json}, {**written_files(options.output), **inputs})
    check_user_dir(options.user_dir)


def table(result: dict[str, Any]) -> str:
    """Return the measurements as a table for people."""
    files = result["files"]
    width = max(map(len, files))
    lines = [f"{'file'.ljust(width)}  {'size':>10}" + ("  perplexity" if "tokens" in result else "")]
    for path, measured in files.items():
        line = f"{path.ljust(width)}  {measured['bytes'] / 1e6:7.2f} MB"
        if "perplexity" in measured:
            line += f"  {measured['perplexity']:10.2f}"
        lines.append(line)
    if "tokens" in result:
        of_float, of_int8 = (measured["perplexity"] for measured in files.values())
        change = 100 * (of_int8 / of_float - 1)
        lines.append(f"int8 changes the perplexity by {change:+.2f} % on {result['tokens']:,} tokens")
    lines.append(f"form {result['form']}, largest difference from torch {result['difference']:.1e}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
