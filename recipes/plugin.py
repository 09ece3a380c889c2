"""The plug-in whose architectures a search or a range test trains: this package, or the user's."""

import argparse
import os
from pathlib import Path

LM_PLUGINS = Path(__file__).resolve().parent.parent / "lm_plugins"


def add_user_dir_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--user-dir", type=folder, default=os.path.relpath(LM_PLUGINS),
        help="folder of a plug-in that defines the architecture (default: this package)",
    )  # fmt: skip


def folder(typed: str) -> str:
    if not os.path.isdir(typed):
        raise argparse.ArgumentTypeError(
            f"{typed or '(empty)'} is not a folder: give the folder of a plug-in"
        )
    return typed
