"""The plug-in of a model for the commands of this package; fairseq's own read --user-dir themselves."""

import argparse
import os

from lm_plugins.errors import Refused


def add_user_dir_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user-dir", help="folder of a plug-in that defines the model")


def check_user_dir(folder: str | None) -> None:
    """Refuse a typed --user-dir that is not a folder.

    Raises:
        Refused: see above
    """
    if folder and not os.path.isdir(folder):
        raise Refused(f"--user-dir {folder} is not a folder: give the folder of a plug-in")
