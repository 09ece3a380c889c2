"""A file that cannot be written is refused before the work whose outcome it is to hold."""

import subprocess
import sys

import pytest

from tests.helpers.runner import ROOT

SENTENCE = "{}/out.json cannot be written (Not a directory): give a file in a folder that can be written\n"


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("recipes.sample", ("nowhere", "--output")),
        ("benchmarks", ("--quick", "--only", "nothing", "--json")),
    ],
)
def test_a_file_under_a_file(tmp_path, module, arguments):
    (tmp_path / "file").touch()
    line = [sys.executable, "-m", module, *arguments, str(tmp_path / "file/out.json")]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "error: " + SENTENCE.format(tmp_path / "file")
