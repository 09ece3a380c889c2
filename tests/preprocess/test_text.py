"""The user's own text, as words, characters or pieces."""

import bz2
import gzip
import lzma
import random
import tarfile
import zipfile

import pytest

from lm_plugins.data.level import level_of
from lm_plugins.data.text_codec import text_codec
from lm_plugins.data.text_json import read_text_json
from preprocess import binarize, completion, text
from preprocess.reading import read
from preprocess.splits import cut, hold_out

LINES = ["the quick  bröwn fox", "jumps over\tthe lazy\u3000dog", "the fox\u00a0again"] * 20


def written(path, lines=LINES):
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("level", ["word", "character", "sentencepiece"])
def test_the_users_own_text_at_each_level(level, tmp_path, capsys):
    options = {"level": level} | ({"size": 34} if level == "sentencepiece" else {})
    text.prepare(tmp_path / "bin", written(tmp_path / "mine.txt"), **options)
    counts = read_text_json(tmp_path / "bin")
    held = {"valid": LINES[54:57], "test": LINES[57:]}
    for split, expected in held.items():
        read = [" ".join(line.split()) for line in expected] if level == "word" else expected
        assert counts[split]["characters"] == sum(len(line) + 1 for line in read)
        assert counts[split]["words"] == sum(len(line.split()) + 1 for line in expected)
        assert counts[split]["tokens"] == len(binarize.tokens_of(tmp_path / "bin", split)[0])
        assert counts[split]["unknown"] == 0
    assert (tmp_path / "bin/sentencepiece.model").exists() == (level == "sentencepiece")
    assert "0 unknown (0.00%)" in capsys.readouterr().out
    encoded = (tmp_path / "bin/text/test.txt").read_text(encoding="utf-8").splitlines()
    assert level_of(tmp_path / "bin") == level
    codec = text_codec(level, tmp_path / "bin")
    if level != "word":
        assert [codec.decode(" ".join(line.split())) for line in encoded] == LINES[57:]
    (tmp_path / "moved").mkdir()
    (tmp_path / "mine.txt").rename(tmp_path / "moved/other.txt")
    text.prepare(tmp_path / "bin", tmp_path / "moved/other.txt", **options)
    assert "nothing to do" in capsys.readouterr().out, "content counts, not the place"
    written(tmp_path / "moved/other.txt", LINES[1:])
    with pytest.raises(SystemExit, match="from a different source text"):
        text.prepare(tmp_path / "bin", tmp_path / "moved/other.txt", **options)


def test_rare_words_teach_what_to_expect_of_unknown_ones(tmp_path, capsys):
    lines = [f"the cat{number} sat" for number in range(40)]
    text.prepare(tmp_path / "two", written(tmp_path / "mine.txt", lines))
    printed = capsys.readouterr().out
    assert "occur fewer than 2 times in training become <unk> (--threshold)" in printed
    assert "valid: " in printed and "8 tokens, 2 unknown (25.00%)" in printed and "warning" not in printed
    text.prepare(tmp_path / "one", tmp_path / "mine.txt", threshold=1)
    assert "warning: 4 tokens of the validation and test text are unknown" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="every word of the training text is too rare: give --threshold 1"):
        text.prepare(tmp_path / "none", tmp_path / "mine.txt", threshold=99)
    with pytest.raises(SystemExit, match="--threshold belongs to --level word"):
        text.prepare(tmp_path / "none", tmp_path / "mine.txt", level="character", threshold=1)
    with pytest.raises(SystemExit, match="two was made with --threshold 2, not 3"):
        text.prepare(tmp_path / "two", tmp_path / "mine.txt", threshold=3)
    with pytest.raises(SystemExit, match="two was made with --level word, not character"):
        text.prepare(tmp_path / "two", tmp_path / "mine.txt", level="character")
    (tmp_path / "two/dict.txt").write_text("another 9\n")
    with pytest.raises(SystemExit, match="two/dict.txt has changed since it was made"):
        text.prepare(tmp_path / "two", tmp_path / "mine.txt")


def test_pieces_fit_the_text_and_learn_from_long_lines(tmp_path, capsys):
    short, long = ["one ones two twos"] * 60, ["alpha alphas beta " * 2000]
    text.prepare(tmp_path / "bin", written(tmp_path / "mine.txt", long + short), level="sentencepiece")
    assert "pieces instead of 8,000, because this text allows no more" in capsys.readouterr().out
    pieces = {line.split()[0] for line in (tmp_path / "bin/dict.txt").read_text().splitlines()}
    assert pieces >= {"▁alpha", "▁two"}, "a line of 34 kB is learned from"
    assert pieces == set(text_codec("sentencepiece", tmp_path / "bin").pieces()), "none of them is unknown"
    for size, part in (
        (5000, r"5,000 pieces: this text allows at most \d+"),
        (3, "the characters of this text need"),
        (1, "too few for its special symbols; give a larger --vocab-size"),
        (10**8, r"100,000,000 pieces from [\d,]+ characters: give a smaller --vocab-size"),
    ):
        with pytest.raises(SystemExit, match=part):
            text.prepare(tmp_path / f"{size}", tmp_path / "mine.txt", level="sentencepiece", size=size)
        assert not completion.is_complete(tmp_path / f"{size}")


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_pieces_are_learned_from_every_line(kind, tmp_path):
    draw = random.Random(1)
    run, reserved = "".join(draw.choices("abcdefghij", k=300_000)), ["zq ▅ xj"] * 100
    lines = [run, *["one two three"] * 60, *reserved]
    text.prepare(tmp_path / "bin", written(tmp_path / "mine.txt", lines), level="sentencepiece", kind=kind)
    codec = text_codec("sentencepiece", tmp_path / "bin")
    pieces = set(codec.pieces())
    assert set("abcdefghijzqx") <= set("".join(pieces)) and codec.decode(codec.encode("zq ▅")) == "zq ▅"
    assert sum(len(piece) == 3 and set(piece) <= set("abcdefghij") for piece in pieces) > 100, "of the run"
    assert all(sizes["unknown"] == 0 for sizes in list(read_text_json(tmp_path / "bin").values())[1:])


def test_texts_that_fairseq_would_read_otherwise_are_refused(tmp_path):
    for word, level, part in (
        ("<pad>", "word", "line 2 of the train text has the word <pad>"),
        ("</s>", "sentencepiece", "line 2 of the train text has the word </s>"),
        ("\U000f0009", "character", "line 2 of the train text, .* cannot be read back"),
    ):
        written(tmp_path / "mine.txt", ["a b", f"c {word} d", *["e"] * 30])
        with pytest.raises(SystemExit, match=part):
            text.prepare(tmp_path / level, tmp_path / "mine.txt", level=level)
        assert not completion.is_complete(tmp_path / level)
    for dest, source in ((tmp_path, tmp_path / "mine.txt"), (tmp_path / "bin", tmp_path)):
        with pytest.raises(SystemExit, match="overlap: give another DEST"):
            text.prepare(dest, source)
    with pytest.raises(SystemExit, match="--valid and --test belong together"):
        text.prepare(tmp_path / "bin", tmp_path / "mine.txt", valid=tmp_path / "mine.txt")
    with pytest.raises(SystemExit, match="--test is empty"):
        text.prepare(tmp_path / "bin", tmp_path / "mine.txt", valid=tmp_path / "mine.txt", test="")


def test_a_text_is_not_held_out_and_trained_on(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("train", "valid", "test"):
        written(folder / f"{name}.txt", [f"the text of {name}"] * 30)
    copy = written(tmp_path / "copy.txt", ["the text of train"] * 30)
    whole, train, valid, test = folder, *(folder / f"{name}.txt" for name in ("train", "valid", "test"))
    for source, held_out in (
        (whole, {"valid": valid, "test": test}),
        (train, {"valid": whole, "test": test}),
        (train, {"valid": valid, "test": copy}),
    ):
        with pytest.raises(SystemExit, match="is in the training text, --source .*: give texts that have"):
            text.prepare(tmp_path / "bin", source, **held_out)
    assert not (tmp_path / "bin").exists()


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".tar", ""), (".tar.bz2", "bz2"), (".tbz2", "bz2"), (".txz", "xz"), (".tgz", "gz")]
)
def test_an_archive_is_never_read_as_a_text(suffix, kind, tmp_path):
    (tmp_path / "folder").mkdir()
    for name in ("b.txt", "a.txt", ".hidden.txt", "._b.txt"):
        written(tmp_path / "folder" / name, [name])
    with tarfile.open(tmp_path / f"mine{suffix}", f"w:{kind}") as archive:
        archive.add(tmp_path / "folder", "./folder")
    assert read(tmp_path / f"mine{suffix}") == read(tmp_path / "folder") == ["a.txt", "b.txt"]


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".bz2", ".zip"])
def test_texts_are_read_from_where_they_are(suffix, tmp_path):
    source, content = tmp_path / f"mine.txt{suffix}", "\ufeffa b\r\n\nç\n".encode()
    if suffix == ".zip":
        with zipfile.ZipFile(source, "w") as archive:
            archive.writestr("deep/mine.txt", content)
            archive.writestr("deep/picture.png", b"\xff")
    else:
        opener = {"": open, ".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}[suffix]
        with opener(source, "wb") as file:
            file.write(content)
    assert read(source) == ["a b", "", "ç"]
    if suffix:
        source.write_bytes(source.read_bytes()[:30])
        with pytest.raises(SystemExit, match="cannot be read"):
            read(source)


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path):
    (tmp_path / "b").mkdir()
    written(tmp_path / "b/1.txt", ["third"])
    (tmp_path / "a.txt").write_text("first, without end")
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"second\n"))
    (tmp_path / "notes.md").write_text("other")
    assert read(tmp_path) == ["first, without end", "second", "third"]


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"ab\nc\xe9d", "not UTF-8 text: byte 4, in line 2, is 0xe9; .* iconv -f LATIN1"),
        ("ab".encode("utf-16"), "byte 0, in line 1, is 0xff; .* iconv -f UTF-16"),
        (b" \n\n", "holds no text"),
    ],
)
def test_what_is_not_a_text_is_refused(content, sentence, tmp_path):
    (tmp_path / "mine.txt").write_bytes(content)
    with pytest.raises(SystemExit, match=sentence):
        read(tmp_path / "mine.txt")
    with pytest.raises(SystemExit, match="none.txt does not exist"):
        read(tmp_path / "none.txt")


def test_a_text_of_few_lines_is_cut_inside_them(capsys):
    line = "ab cd " * 50
    assert [len(part) for part in cut(line, inside_words=True)] == [270, 15, 15]
    assert cut(line, inside_words=False)[1] == "cd ab cd ab cd"
    parts = hold_out([line], "mine.txt", inside_words=False)
    assert " ".join(part[0] for part in parts.values()) == line
    assert (
        "mine.txt has one line, so it is split after 90% and 95% of its characters" in capsys.readouterr().out
    )
    with pytest.raises(SystemExit, match="too short to hold out 5%"):
        hold_out(["a word"], "mine.txt", inside_words=False)
    assert [len(part) for part in hold_out(LINES, "mine.txt", True).values()] == [54, 3, 3]
