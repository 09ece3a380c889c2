"""Check the training command before the recipe does anything, and print the completed command.

python -m recipes.check_flags RECIPE OPTIONS DATA FLAGS...

prints the words of the completed command as JSON.
"""

import contextlib
import difflib
import io
import json
import logging
import sys


def completed(recipe: str, own: list[str], arguments: list[str]) -> list[str]:
    """Return ``fairseq-train arguments`` with the flags of the architecture; refuse flags that do not exist.

    Args:
        recipe: path of the recipe, as it was typed
        own: options of the recipe itself
        arguments: the arguments that the recipe passes to fairseq-train

    Raises:
        SystemExit: the message names the wrong flag and the nearest known one, or who trains in the folder.
    """
    from fairseq import options

    sys.argv = ["fairseq-train", *arguments]
    parser = options.get_training_parser()  # imports the --user-dir, which completes sys.argv
    written = io.StringIO()
    try:
        with contextlib.redirect_stderr(written):
            parsed = options.parse_args_and_arch(parser)
    except SystemExit as stop:
        if stop.code:
            words = written.getvalue().strip().splitlines()[-1].split("error: ", 1)[-1]
            known = [*own, *parser._option_string_actions]
            print(
                f"error: {words}{hint(words, known)}: see {recipe} --help, and fairseq-train "
                "--user-dir lm_plugins --arch ARCH --help",
                file=sys.stderr,
            )
            raise SystemExit(2) from None
    check_not_training(parsed.save_dir)
    return list(sys.argv)


def check_not_training(folder: str) -> None:
    """Refuse a folder of checkpoints in which another process trains, before its records are replaced.

    Raises:
        SystemExit: see above
    """
    from lm_plugins.errors import Refused
    from lm_plugins.writer_lock import check_free

    try:
        check_free(folder)
    except Refused as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        raise SystemExit(2) from None


def hint(words: str, known: list[str]) -> str:
    """Return a hint that names the `known` option nearest to the unknown one; "" if none is near."""
    unknown = next((word for word in words.split() if word.startswith("--")), "")
    near = difflib.get_close_matches(unknown.split("=")[0], known, n=1, cutoff=0.75)
    return f" (did you mean {near[0]}?)" if near and "unrecognized" in words else ""


def main() -> None:
    """Run the command line."""
    logging.basicConfig(level=logging.WARNING)  # otherwise the import of fairseq logs more
    recipe, own, *arguments = sys.argv[1:]
    print(json.dumps(completed(recipe, own.split(), arguments)))


if __name__ == "__main__":
    main()
