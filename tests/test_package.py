"""The package as pip installs it, from a wheel and editable, where Python writes byte code."""

import os
import shutil
import subprocess
import sys
import sysconfig
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import fairseq
import pytest
import yaml

from lm_plugins.ops import cpu_sources
from tests.helpers.kernels import needs_compiler
from tests.helpers.runner import ROOT, TINY

NOT_COPIED = shutil.ignore_patterns("__pycache__", "_cpu.*")
REPORT = """\
import lm_plugins
from lm_plugins.ops import cpu_kernels
print("package:", *lm_plugins.__path__)
print("kernels:", cpu_kernels.library()._name)
print("uses of the kernels:", cpu_kernels.library.cache_info().hits)
"""
TRAIN = f"""\
from fairseq_cli.train import cli_main
cli_main()
{REPORT}"""
IMPORT = f"""\
from argparse import Namespace
from fairseq.utils import import_user_module
import_user_module(Namespace(user_dir="lm_plugins"))
{REPORT}"""


def run(*command, cwd):
    """Run a command without Python's environment variables, and return its output; it must succeed."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environ, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def pip(command, *arguments, python=sys.executable, cwd):
    run(
        sys.executable, "-m", "pip", "--python", python, command, "--no-index", "--no-deps",
        "--no-build-isolation", *arguments, cwd=cwd,
    )  # fmt: skip


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """The files that the package is built from, as in a fresh clone."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("lm_plugins", "preprocess", "recipes"):
        shutil.copytree(ROOT / name, folder / name, ignore=NOT_COPIED)
    return folder


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory):
    """Build a wheel in a folder in which an earlier version was built before."""
    built = (
        checkout / f"build/lib.{sysconfig.get_platform()}-{sys.implementation.cache_tag}/lm_plugins/ops/old"
    )
    built.mkdir(parents=True)
    (built / "cpu.cpp").write_text("a kernel of an earlier version")
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--wheel-dir", folder, checkout, cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A virtual environment with fairseq and no lm_plugins; the rest is borrowed from the running one."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    site = next(folder.glob("lib/python*/site-packages"))
    for package in ("fairseq", "fairseq_cli"):
        shutil.copytree(Path(fairseq.__file__).parent.parent / package, site / package)
    (site / "borrowed.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))
    return folder


@pytest.fixture
def elsewhere(tmp_path):
    """Return a current folder without lm_plugins."""
    return tmp_path


def reported(output):
    """Return {what: value} of the lines that REPORT printed."""
    return dict(line.split(": ", 1) for line in output.splitlines()[-3:])


def test_the_wheel_names_its_licence_and_requirements(wheel):
    with ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        fields = HeaderParser().parsestr(archive.read(metadata).decode())
    assert fields["License-Expression"] == "MIT" and fields["License-File"] == "LICENSE"
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    required = fields.get_all("Requires-Dist")
    assert {"matplotlib", "numpy", "omegaconf", "sentencepiece", "tensorboard", "tqdm"} <= set(required)
    assert 'optuna; extra == "search"' in required
    assert not any(requirement.startswith(("torch", "fairseq")) for requirement in required)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (fields["Version"], fields["License-Expression"])


def test_the_wheel_has_the_sources_of_the_kernels_and_no_others(wheel):
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.endswith((".cpp", ".h"))}
    assert packed == {f"lm_plugins/ops/{path}" for path in cpu_sources.sources()}


@needs_compiler
def test_a_wheel_trains_from_any_folder_with_its_kernels(wheel, environment, data_bin, elsewhere):
    python, program = environment / "bin/python", elsewhere / "fairseq-train"
    pip("install", wheel, python=python, cwd=elsewhere)
    program.write_text(TRAIN)
    flags = (*TINY, "--user-dir", "lm_plugins", "--arch", "qrnn_ptb", "--max-update", 1, "--save-dir", "save")
    output = run(python, program, data_bin, *flags, cwd=elsewhere)
    assert (elsewhere / "save/checkpoint_last.pt").exists() and "out of date" not in output, output
    found = reported(output)
    assert Path(found["package"]).is_relative_to(environment)
    assert Path(found["kernels"]).is_relative_to(environment)
    assert int(found["uses of the kernels"]) > 10


@needs_compiler
def test_an_editable_install_is_imported_from_any_folder(checkout, environment, data_bin, elsewhere):
    """This also holds if a wheel was installed before, and if the current folder is the checkout."""
    pip("install", "--editable", checkout, python=environment / "bin/python", cwd=elsewhere)
    for folder in (elsewhere, checkout):
        found = reported(run(environment / "bin/python", "-c", IMPORT, cwd=folder))
        assert found["package"] == f"{checkout}/lm_plugins"
        assert Path(found["kernels"]).is_relative_to(checkout)
