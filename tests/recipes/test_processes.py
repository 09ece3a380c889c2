"""A signal to a recipe or a search reaches its training, and nothing outlives them."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recipes.processes import with_full_log
from tests.helpers.recipes import recipe_process
from tests.helpers.runner import ROOT

# A parent whose child says which signal it received, and ends with its own status or the default one.
PARENT = """
import sys
from recipes.processes import end_quietly_by_interrupt, piped
end_quietly_by_interrupt()
with piped([sys.executable, "-c", sys.argv[1]]) as process:
    for line in process.stdout:
        print(line, end="", flush=True)
print("the next stage", flush=True)
"""
SAVING = """
import os, signal, sys, time
def save(number, frame):
    os.write(1, f"saved at {signal.Signals(number).name}\\n".encode())  # the signal may interrupt a print
    sys.exit(0 if number == signal.SIGHUP else 128 + number)
for name in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP"):
    signal.signal(getattr(signal, name), save)
print(os.getpid(), flush=True)
time.sleep(60)
"""
UNPREPARED = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"


def started(child):
    """Start PARENT with `child`, and return it and the process number of its child.

    SIGHUP is not ignored, also if the tests run under nohup.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, child], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, process_group=0, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )  # fmt: skip
    return process, int(process.stdout.readline())


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for_end(pid):
    """Wait until the process has ended, for five seconds at most; return whether it has."""
    deadline = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_alive(pid)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP"])
def test_a_signal_is_passed_on_and_decides_the_status(name):
    number = getattr(signal, name)
    process, child = started(SAVING)
    process.send_signal(number)
    output = process.communicate(timeout=20)[0]
    assert output == f"saved at {name}\nstopped by {name}\n"
    assert process.returncode == 128 + number and not is_alive(child)


def test_a_group_s_signal_reaches_the_child_once_and_an_unprepared_one_ends():
    process, child = started(SAVING)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
    assert process.communicate(timeout=20)[0].count("saved at SIGINT") == 1
    process, child = started(UNPREPARED)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20)[0] == "stopped by SIGTERM\n" and process.returncode == 143


def test_the_level_of_the_user_does_not_hide_the_numbers_that_are_read(monkeypatch):
    assert with_full_log({"A": "b", "LOGLEVEL": "debug"}) == {"A": "b", "LOGLEVEL": "DEBUG"}
    monkeypatch.setenv("LOGLEVEL", "error")
    process, is_info = started("import os; print(int(os.environ['LOGLEVEL'] == 'INFO'))")
    process.communicate(timeout=20)
    assert is_info


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl")
def test_a_child_does_not_outlive_a_killed_parent():
    process, child = started(UNPREPARED)
    process.kill()
    assert wait_for_end(child)
    process.stdout.close(), process.wait()


FULL = """
import sys
from pathlib import Path
from recipes.progress import follow
from recipes.run import run_logged
full = Path("/dev/full")
run_logged([sys.executable, "-c", sys.argv[1]], Path(sys.argv[2]), lambda lines, log: follow(lines, full))
"""
SAVING_SLOWLY = """
import os, signal, sys, time
def save(number, frame):
    os.write(1, b"more than fits in a pipe" * 10000)  # the signal may interrupt a print
    open({saved!r}, "w").close()
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, save)
print("this line does not fit on the disk", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux")
def test_a_full_disk_ends_a_program_that_can_still_save(tmp_path):
    program = SAVING_SLOWLY.format(saved=str(tmp_path / "saved"))
    line = [sys.executable, "-c", FULL, program, tmp_path / "train.log"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=50)
    sentence = "error: /dev/full cannot be written (No space left on device): mend this, and run the same "
    assert (done.returncode, done.stderr) == (1, f"{sentence}command again\n")
    assert (tmp_path / "saved").exists()


def test_ctrl_z_stops_the_child_too():
    process, child = started(UNPREPARED)
    process.send_signal(signal.SIGTSTP)
    states, deadline = "", time.monotonic() + 5
    while states != "TT" and time.monotonic() < deadline:
        stats = (Path(f"/proc/{pid}/stat").read_text() for pid in (process.pid, child))
        states = "".join(stat.rsplit(")", 1)[1].split()[0] for stat in stats)
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    assert states == "TT" and process.communicate(timeout=20)[0] == "stopped by SIGTERM\n"


TRAINING = f"""#!{sys.executable}
{SAVING}"""


def test_a_signal_to_a_recipe_reaches_its_training(data_bin, tmp_path):
    program = tmp_path / "fairseq-train"
    program.write_text(TRAINING)
    program.chmod(0o755)
    tree, exp = tmp_path / "tree", tmp_path / "exp"
    shutil.copytree(ROOT / "recipes", tree / "recipes", symlinks=True)
    for package in ("lm_plugins", "preprocess"):  # and no .venv, whose programs would come first
        (tree / package).symlink_to(ROOT / package)
    flags = ("--data", data_bin, "--exp", exp, "--stage", "2")
    path = f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = recipe_process(tree / "recipes/ptb/lstm_small.sh", *flags, PATH=path)
    log = exp / "logs/train.log"
    while not (log.exists() and log.read_text().count("\n") > 1):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    child = int(log.read_text().splitlines()[1])
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=20)[0]
    assert process.returncode == 143 and not is_alive(child) and "stopped by SIGTERM\n" in output
    assert "saved at SIGTERM" in log.read_text() and "fairseq-eval-lm" not in output


SLURM = {"scontrol": "echo first", "srun": f"exec {sys.executable} -c '{UNPREPARED}'"}


def test_a_signal_to_the_script_of_slurm_reaches_its_step(tmp_path):
    for name, script in SLURM.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    ptb = ROOT / "recipes/ptb/lstm_small.sh"
    process = recipe_process(
        ROOT / "recipes/slurm.sh", ptb, PATH=path, SLURM_JOB_NODELIST="a", SLURM_NNODES="1"
    )
    child = int(process.stdout.readline())
    assert "\n#SBATCH --signal=B:USR1@60\n" in (ROOT / "recipes/slurm.sh").read_text()
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGUSR1 and not is_alive(child)
