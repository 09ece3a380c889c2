"""A user-dir that builds on lm_plugins."""

from pathlib import Path

from tests.helpers.runner import ROOT

HEADER = f"""
import sys

sys.path.insert(0, {str(ROOT)!r})

from fairseq.criterions import register_criterion
from lm_plugins.criterions.lm_cross_entropy import LMCrossEntropy, LMCrossEntropyConfig
"""


def write_plugin(folder: Path, source: str) -> Path:
    """Write a user-dir with the definitions in `source` into `folder`, and return its path."""
    plugin = folder / "plugin"
    plugin.mkdir()
    (plugin / "__init__.py").write_text(HEADER + source)
    return plugin
