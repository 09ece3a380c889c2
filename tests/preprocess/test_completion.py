"""A folder is complete, being made, or not ours; what it was made from decides."""

import json
import threading

import pytest

from preprocess import lock
from preprocess.completion import check_foreign, complete, is_complete, making

INPUTS = {"corpus": "text", "level": "word", "threshold": 2, "source": "a" * 64, "valid": None}


def made(dest, inputs=INPUTS):
    with making(dest, inputs) as needed:
        if needed:
            complete(dest, inputs, {"fact": 1})
    return needed


def test_the_same_inputs_are_made_once(tmp_path, capsys):
    assert made(tmp_path / "new") and not made(tmp_path / "new")
    assert "new is complete: nothing to do" in capsys.readouterr().out
    mark = json.loads((tmp_path / "new/.complete").read_text())
    assert mark == {"inputs": INPUTS, "fact": 1, "files": {}} and not (tmp_path / "new/.inputs").exists()


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"level": "character"}, "was made with --level word, not character"),
        ({"threshold": 3}, "was made with --threshold 2, not 3: give another folder, or remove this one"),
        (
            {"source": "b" * 64},
            r"from a different source text \(SHA-256 aaaaaaaaaaaa..., now bbbbbbbbbbbb...\)",
        ),
        ({"valid": "b" * 64}, "was made without --valid: give another"),
        ({"level": "character", "source": "b" * 64}, "not character; from a different source text"),
        ({"corpus": "ptb"}, "holds the corpus text"),
    ],
)
def test_other_inputs_are_named_and_refused(change, sentence, tmp_path):
    made(tmp_path / "bin")
    with pytest.raises(SystemExit, match=sentence):
        made(tmp_path / "bin", INPUTS | change)


def test_marks_of_an_earlier_version_and_damaged_ones(tmp_path):
    (tmp_path / ".complete").write_text('{"corpus": "text", "source": "mine.txt"}')
    with pytest.raises(SystemExit, match="an earlier version, which did not record level, source, threshold"):
        made(tmp_path)
    assert not made(tmp_path, {"corpus": "text"}), "nothing is asked that it does not tell"
    (tmp_path / ".complete").write_text('{"corpus": ')
    with pytest.raises(SystemExit, match=".complete is damaged: remove"):
        made(tmp_path)


def test_a_folder_made_under_an_earlier_name_of_the_corpus_is_complete(tmp_path):
    complete(tmp_path, {"corpus": "wikitext103", "train": "a" * 64}, {})
    assert not made(tmp_path, {"corpus": "wt103", "train": "a" * 64})
    with pytest.raises(SystemExit, match="holds the corpus wt103: give another folder"):
        made(tmp_path, {"corpus": "wt2"})
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / ".inputs").write_text('{"corpus": "penn"}')
    (unfinished / "text").mkdir()
    with making(unfinished, {"corpus": "ptb"}) as needed:
        assert needed and (unfinished / "text").exists(), "it is resumed, not started again"


def test_an_incomplete_folder_is_resumed_or_started_again(tmp_path, capsys):
    class Killed(Exception):
        pass

    def interrupted(inputs):
        with pytest.raises(Killed), making(tmp_path, inputs):
            before = sorted(path.name for path in tmp_path.iterdir())
            (tmp_path / "text").mkdir(exist_ok=True)
            for name in ("dict.txt", "train.bin", "sentencepiece.model", "download", "text/train.txt"):
                (tmp_path / name).touch()
            raise Killed
        return before

    assert interrupted(INPUTS) == [".inputs", ".lock"]
    assert "dict.txt" in interrupted(INPUTS)
    assert interrupted(INPUTS | {"threshold": 3}) == [".inputs", ".lock", "download"], "a download is kept"
    assert "begun from other inputs: starting again" in capsys.readouterr().out
    assert not is_complete(tmp_path)


@pytest.mark.parametrize("name", ["thesis.txt", "text/train.txt", "checkpoints/checkpoint_best.pt"])
def test_a_folder_of_other_files_is_left_untouched(name, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(SystemExit, match="holds other files .*, and is left untouched"):
        made(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]
    with pytest.raises(SystemExit, match="cannot be written .*: give another folder"):
        made(tmp_path / name)


def test_a_second_process_waits_and_finds_the_work_done(tmp_path, capsys, monkeypatch):
    begun, waits, needs = threading.Event(), threading.Event(), []

    def note(line, **_):
        assert line == f"{tmp_path} is being written by another process: waiting for it"
        waits.set()

    def first():
        with making(tmp_path, INPUTS) as needed:
            begun.set()
            assert waits.wait(60)
            complete(tmp_path, INPUTS, {})
        needs.append(needed)

    def second():
        needs.append(made(tmp_path))

    monkeypatch.setattr(lock, "print", note, raising=False)
    threads = [threading.Thread(target=target) for target in (first, second)]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    for thread in threads:
        thread.join(60)
    assert sorted(needs) == [False, True]
    assert "nothing to do" in capsys.readouterr().out


def test_two_processes_that_begin_at_the_same_moment(tmp_path):
    """The second looks at the folder while the first, which holds the lock, has not yet written .inputs."""
    begun, looked, needs = threading.Event(), threading.Event(), []

    def second():
        assert begun.wait(60)
        with pytest.raises(SystemExit, match="holds other files"):
            check_foreign(tmp_path, holds_lock=True)
        check_foreign(tmp_path, holds_lock=False)
        looked.set()
        needs.append(made(tmp_path))

    thread = threading.Thread(target=second)
    thread.start()
    with lock.locked(tmp_path):
        (tmp_path / "text.part").touch()
        begun.set()
        assert looked.wait(60)
        (tmp_path / "text.part").unlink()
    thread.join(60)
    assert needs == [True]


def test_a_process_killed_before_it_wrote_its_inputs_can_be_repeated(tmp_path):
    (tmp_path / ".inputs.part").write_text("{")
    assert made(tmp_path) and not (tmp_path / ".inputs.part").exists()


def with_data(dest, inputs=INPUTS):
    """Make a folder with a dictionary and a shard."""
    with making(dest, inputs) as needed:
        assert needed
        (dest / "01").mkdir()
        for name in ("dict.txt", "01/train.bin", "01/train.idx", "notes.md"):
            (dest / name).write_text(name)
        complete(dest, inputs, {})
    return dest


def test_a_complete_folder_is_compared_with_what_was_made(tmp_path):
    dest = with_data(tmp_path / "bin")
    assert sorted(json.loads((dest / ".complete").read_text())["files"]) == [
        "01/train.bin",
        "01/train.idx",
        "dict.txt",
    ]
    (dest / "notes.md").write_text("mine")
    assert not made(dest)
    (dest / "01/train.bin").write_text("01/train.xxx")
    with pytest.raises(SystemExit, match="01/train.bin has changed since it was made: remove .*bin to make"):
        made(dest)
    (dest / "01/train.bin").unlink()
    with pytest.raises(SystemExit, match="01/train.bin is missing: remove"):
        made(dest)


def test_an_option_that_was_left_out_is_named(tmp_path):
    made(tmp_path, {"corpus": "text", "vocab-size": None})
    with pytest.raises(SystemExit, match="was made without --vocab-size: give another folder"):
        made(tmp_path, {"corpus": "text", "vocab-size": 500})
    made(tmp_path / "other", {"corpus": "text", "vocab-size": 500})
    with pytest.raises(SystemExit, match="was made with --vocab-size 500: give another folder"):
        made(tmp_path / "other", {"corpus": "text", "vocab-size": None})
