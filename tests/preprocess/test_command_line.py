"""Options out of range, unknown or empty, and missing texts, are refused in one sentence each."""

import errno
import sys

import pytest

from preprocess import corpus, gbw, ptb, text, topics
from preprocess.command_line import run

SENTENCES = [
    (text, ["bin"], "arguments are required: --source"),
    (text, ["bin", "--sorce", "a.txt"], "unrecognized arguments: --sorce a.txt"),
    (text, ["bin", "--source", "a.txt", "--foo"], "unrecognized arguments: --foo"),
    (text, ["", "--source", "a.txt"], "DEST: it is empty: give a path"),
    (text, ["bin", "--source", ""], "--source: it is empty: give a path"),
    (text, ["bin", "--source", "a.txt", "--valid", " ", "--test", "a.txt"], "--valid: it is empty"),
    (text, ["bin", "--source", "a.txt", "--valid", "a.txt"], "--valid and --test belong together"),
    *(
        (text, ["bin", "--source", "a.txt", option, value], f"{option}: {value!r} is not a whole number")
        for option in ("--threshold", "--vocab-size")
        for value in ("-1", "0", "1.5", "nan", "", "x", str(2**31), "9" * 5000)
    ),
    (text, ["bin", "--source", "a.txt", "--level", "words"], "--level: invalid choice: 'words'"),
    (text, ["bin", "--source", "a.txt", "--vocab-size", "9"], "--vocab-size belongs to --level"),
    (text, ["bin", "--source", "none.txt"], "none.txt does not exist"),
    (text, ["bin", "--source", "/dev/zero"], "/dev/zero is a device"),
    (text, ["bin", "--source", "latin.txt"], "latin.txt is not UTF-8 text: byte 4, in line 2, is 0xe9"),
    (text, ["a.txt/x", "--source", "latin"], "latin does not exist"),
    (text, ["latin.txt", "--source", "a.txt"], "latin.txt cannot be written"),
    (ptb, ["bin", "--source", ""], "--source: it is empty"),
    (ptb, ["", "--source", "."], "DEST: it is empty"),
    (ptb, ["bin", "--sorce", "a"], "unrecognized arguments: --sorce a"),
    (ptb, ["bin", "--source", "none"], "none does not exist"),
    (ptb, ["bin", "--source", "/dev/zero"], "/dev/zero is a device or a pipe"),
    (ptb, ["bin", "--source", "."], "has none of ptb.train.txt, train.txt"),
    (gbw, ["bin", "--source", "/dev/zero"], "/dev/zero is a device or a pipe"),
    (gbw, ["bin", "--source", "a.txt"], "a.txt cannot be read (file could not be opened successfully)"),
    *((gbw, ["bin", "--workers", value], f"--workers: '{value}' is not") for value in ("0", "-1", "x")),
    (topics, [], "arguments are required: FOLDER"),
    (topics, [""], "FOLDER: it is empty"),
    (topics, ["a.txt"], "a.txt: File exists"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("the cat sat\n" * 40)
    (tmp_path / "latin.txt").write_bytes(b"ab\nc\xe9d\n")
    return tmp_path


@pytest.mark.parametrize(
    "module, arguments, sentence",
    SENTENCES,
    ids=[" ".join([module.__name__.split(".")[1], *words])[:60] for module, words, _ in SENTENCES],
)
def test_each_mistake_has_its_own_message(module, arguments, sentence, folder, monkeypatch, capsys):
    before = sorted(folder.iterdir())
    monkeypatch.setattr(sys, "argv", ["program", *arguments])
    with pytest.raises(SystemExit) as end:
        if module is ptb:
            corpus.main(ptb.PTB)
        elif module is topics:
            run(topics.main)
        else:
            module.main()
    by_argparse = end.value.code == 2  # which prints the usage first
    said = capsys.readouterr().err.splitlines()[-1] if by_argparse else end.value.code
    assert sentence in said and "\n" not in said
    assert sorted(folder.iterdir()) == before, "nothing was written"


def raiser(error):
    def main():
        raise error

    return main


def test_an_interruption_and_a_full_disk_print_no_traceback(capsys):
    with pytest.raises(SystemExit) as end:
        run(raiser(KeyboardInterrupt()))
    assert end.value.code == 130 and "interrupted: run the same command again" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="^error: train.bin: No space left on device$"):
        run(raiser(OSError(errno.ENOSPC, "No space left on device", "train.bin")))
