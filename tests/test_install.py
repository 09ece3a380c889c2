"""The set-up that `make` runs: what it refuses, and when it runs again. These tests install nothing."""

import errno
import importlib.util
import os
import subprocess
import sys

import pytest

from tests.helpers.runner import ROOT

spec = importlib.util.spec_from_file_location("install", ROOT / "tools/install.py")
install = importlib.util.module_from_spec(spec)
spec.loader.exec_module(install)


def refused(call, *arguments, **options):
    with pytest.raises(SystemExit) as stop:
        call(*arguments, **options)
    return str(stop.value)


@pytest.mark.parametrize("version", [(3, 10, 4), (3, 14, 0), (2, 7, 18)])
def test_a_python_out_of_range(version):
    assert f"Python {version[0]}.{version[1]} is not supported" in refused(install.check_python, version)


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 1), (3, 13, 9)])
def test_a_python_in_range(version):
    install.check_python(version)


def nothing(name):
    return None


def test_a_compiler_is_needed_where_there_is_no_wheel():
    for version, machine in (((3, 11, 0), "x86_64"), ((3, 13, 0), "x86_64"), ((3, 12, 0), "aarch64")):
        assert "no C++ compiler" in refused(install.check_compiler, version, machine, which=nothing)
    install.check_compiler((3, 12, 0), "x86_64", which=nothing)


def test_missing_headers(monkeypatch, tmp_path):
    monkeypatch.setattr(install.sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    assert "python3-dev" in refused(install.check_compiler, (3, 11, 0), "x86_64", which=lambda name: name)


def test_the_stamp_changes_with_each_input_and_with_nothing_else(tmp_path):
    for name in install.INPUTS:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((ROOT / name).read_text())
    first = install.stamp("torch==2.13.0", tmp_path)
    assert install.stamp("torch==2.13.0", tmp_path) == first == install.stamp("torch==2.13.0")
    stamps = {first, install.stamp("torch==2.12.0", tmp_path), install.stamp(None, tmp_path)}
    for name in install.INPUTS:
        with open(tmp_path / name, "a") as file:
            file.write("\n# changed\n")
        stamps.add(install.stamp("torch==2.13.0", tmp_path))
    assert len(stamps) == 3 + len(install.INPUTS)


@pytest.mark.parametrize(
    "output, part",
    [
        ("Failed to establish a new connection: NewConnectionError", "no package index can be reached"),
        ("Temporary failure in name resolution", "PIP_INDEX_URL"),
        ("error: command 'c++' failed", "`pip install torch==2.13.0 ...` failed"),
    ],
)
def test_a_failed_command_is_explained_in_one_sentence(output, part):
    assert part in install.explain(["python", "-m", "pip", "install", "torch==2.13.0"], output)


def run(*arguments, python=sys.executable):
    return subprocess.run(
        [python, ROOT / "tools/install.py", *map(str, arguments)], text=True, capture_output=True
    )


def test_a_folder_that_the_set_up_did_not_make_is_left_untouched(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    done = run("--venv", tmp_path)
    assert done.returncode == 1 and "was not made by this set-up" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_nothing_is_done_if_the_stamp_exists(tmp_path):
    """This interpreter has a torch, so its stamp is that of a borrowed torch."""
    (tmp_path / install.stamp(None)).touch()
    done = run("--venv", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(list(tmp_path.iterdir())) == 1


def test_the_interpreter_of_the_environment_itself_is_refused(tmp_path):
    """It would borrow the torch that is installed there, and then remove it."""
    venv = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (venv / install.OURS).touch()
    done = run("--venv", venv, python=venv / "bin/python")
    assert done.returncode == 1 and "run `deactivate`" in done.stderr
    assert (venv / "bin/python").exists()


def make(*arguments, **environ):
    command = ["make", "--dry-run", "setup", *map(str, arguments)]
    environ = {**os.environ, **environ}
    return subprocess.run(command, cwd=ROOT, env=environ, text=True, capture_output=True, check=True).stdout


def test_make_keeps_the_interpreter_that_the_environment_was_made_from(tmp_path):
    """This also holds if the environment is activated, so that its own python3 comes first."""
    venv = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    activated = {"PATH": f"{venv}/bin:{os.environ['PATH']}"}
    assert "python3 tools/install.py" in make(f"VENV={venv}", **activated)
    (venv / install.OURS).write_text(f"{sys.executable}\ntorch==2.12.0\n")
    assert f"{sys.executable} tools/install.py" in make(f"VENV={venv}", **activated)
    assert "mine tools/install.py" in make(f"VENV={venv}", "PYTHON=mine", **activated)
    (venv / install.OURS).write_text("/removed/python3\n\n")
    assert "python3 tools/install.py" in make(f"VENV={venv}")


def test_the_torch_of_the_last_set_up(tmp_path):
    assert install.torch_of(tmp_path) == ""
    for lines, torch in (
        ("", ""),
        ("python3\n\n", ""),
        ("python3\n--index-url URL torch\n", "--index-url URL torch"),
    ):
        (tmp_path / install.OURS).write_text(lines)
        assert install.torch_of(tmp_path) == torch


def test_an_interrupted_set_up_keeps_its_torch(tmp_path, monkeypatch, capsys):
    """The next one without --torch, or one that waited for it, installs the same, and is not of another."""
    venv, installed = tmp_path / "environment", []

    def pip(environment, what, *arguments, **environ):
        installed.append(what)
        raise SystemExit("no network")

    monkeypatch.setattr(install.Environment, "pip", pip)
    monkeypatch.setattr(install.Environment, "run", lambda *words, **environ: None)
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: None)
    for options in (["--torch", "torch==2.12.0"], []):
        monkeypatch.setattr(sys, "argv", ["install.py", "--venv", str(venv), *options])
        with pytest.raises(SystemExit, match="no network"):
            install.main()
    assert installed == ["torch==2.12.0"] * 2


def test_a_file_system_without_locks(tmp_path, monkeypatch, capsys):
    def flock(*arguments):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(install.fcntl, "flock", flock)
    with open(tmp_path / "lock", "w") as lock:
        install.acquire(lock)
    assert "cannot be locked: let only one set-up run here" in capsys.readouterr().out
