"""A file or folder that cannot be written is refused before the work that it is for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import output_memory
from benchmarks.__main__ import main as benchmark
from recipes import demo, lr_range, sweep
from recipes.files import check_output, make_folder
from tests.helpers.runner import ROOT


def test_what_can_be_written_is_left_as_it_was(tmp_path):
    check_output(tmp_path / "new/out.json")
    assert list(tmp_path.rglob("*")) == [tmp_path / "new"]
    (tmp_path / "old.json").write_text("{}")
    check_output(tmp_path / "old.json")
    make_folder(tmp_path)
    assert (tmp_path / "old.json").read_text() == "{}" and len(os.listdir(tmp_path)) == 2


def test_two_containers_with_the_same_process_number_test_one_folder(tmp_path, monkeypatch):
    touch = Path.touch

    def touch_and_lose(path):  # the other one removes the file that both have made
        touch(path)
        path.unlink()

    monkeypatch.setattr(Path, "touch", touch_and_lose)
    make_folder(tmp_path)
    assert not list(tmp_path.iterdir())


NEVER_MADE = """
import os, sys
from pathlib import Path
from recipes.files import check_output

def watch(event, arguments):
    if event in ("open", "os.remove") and str(arguments[0]).endswith("out.json"):
        assert event == "open" and not arguments[2] & os.O_CREAT, event

sys.addaudithook(watch)
check_output(Path(sys.argv[1]))
"""


def test_an_output_is_neither_made_nor_removed_while_another_process_may_write_it(tmp_path):
    line = [sys.executable, "-c", NEVER_MADE, tmp_path / "out.json"]
    for _ in range(2):
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        (tmp_path / "out.json").touch()


def sampled(path: str) -> None:
    line = [sys.executable, "-m", "recipes.sample", "nowhere", "--output", path]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    raise SystemExit(done.stderr.strip())


@pytest.mark.parametrize(
    "write",
    [
        lambda path: check_output(Path(path)),
        lambda path: sampled(path),
        lambda path: benchmark(["--quick", "--only", "nothing", "--json", path]),
        lambda path: lr_range.main(["data", "--arch", "qrnn_ptb", "--out", path]),
        lambda path: demo.emptied(Path(path)).__enter__(),
        lambda path: sweep.main(["k.db", "--arch", "a", "--flag=--lr", "--picture", f"{path}.png"]),
        lambda path: output_memory.main(["--quick", "--picture", f"{path}.png"]),
    ],
    ids=["check_output", "sample", "benchmarks", "lr_range", "demo", "sweep", "output_memory"],
)
def test_a_path_below_a_file(tmp_path, write):
    (tmp_path / "file").touch()
    with pytest.raises(
        SystemExit, match=f"^error: {tmp_path}/file.* cannot be written .(it is a file|Not a)"
    ):
        write(str(tmp_path / "file/out.json"))
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.parametrize("content", ['{"--n-experts": [1, 20]}', "[1]", "not JSON"])
@pytest.mark.parametrize(
    ("main", "typed"),
    [(sweep.main, ["k.db", "--arch", "a", "--flag=--n-experts"]), (output_memory.main, ["--quick"])],
    ids=["sweep", "output_memory"],
)
def test_a_file_of_the_user_beside_a_picture_is_kept(tmp_path, main, typed, content):
    (tmp_path / "k.json").write_text(content)
    with pytest.raises(SystemExit, match="k.json would be replaced, but this program did not write it"):
        main([*typed, "--picture", str(tmp_path / "k.png")])
    assert os.listdir(tmp_path) == ["k.json"] and (tmp_path / "k.json").read_text() == content


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(SystemExit, match="is a folder: give the name of a file"):
        check_output(tmp_path)
