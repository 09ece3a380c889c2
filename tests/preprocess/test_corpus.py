"""A corpus is obtained, verified and binarized completely, or not at all."""

import dataclasses
import gzip
import hashlib
import json
import lzma
import socket
import tarfile
import threading
import zipfile
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

from lm_plugins.data.level import level_of
from lm_plugins.data.text_json import read_text_json
from lm_plugins.data.text_sizes import text_sizes
from preprocess import binarize, completion, corpus, enwik8, gbw, text8
from preprocess.counts import Counts, check, count
from preprocess.download import download
from preprocess.sources import extract

LINES = {"train": "the cat sat\nthe dog <unk>\n\nthe end\n", "valid": "the cat\n", "test": "a dog sat\n"}


@pytest.fixture
def served(tmp_path):
    """(folder, address) of a server that resumes; requests are in folder/.log"""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            data = (folder / self.path[1:]).read_bytes() if (folder / self.path[1:]).is_file() else None
            if data is None:
                return self.send_error(404)
            begin = int(self.headers.get("Range", "bytes=0-")[6:-1])
            requests.append(begin)
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(data) - begin))
            self.end_headers()
            self.wfile.write(data[begin:])

    folder, requests = tmp_path / "served", []
    folder.mkdir()
    server = HTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()


@pytest.mark.parametrize(
    "answer", [b"<html>log in</html>\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"]
)
def test_an_answer_that_is_not_http_is_explained_in_one_sentence(answer, tmp_path):
    """It is that of a proxy, or of a connection that ended."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answer + b"\r\n\r\n5\r\nabc")

    threading.Thread(target=serve, daemon=True).start()
    with pytest.raises(SystemExit, match="error: x could not be downloaded"):
        download([f"http://127.0.0.1:{server.getsockname()[1]}/x"], tmp_path / "x")


def small(addresses=(), digests=None, **changes):
    splits = {
        name: corpus.Split(
            (f"{name}.txt",),
            count_of(content),
            tuple(f"{a}/{name}.txt" for a in addresses),
            digests and digests[name],
        )
        for name, content in LINES.items()
    }
    return corpus.Corpus("small", splits | changes.pop("splits", {}), **changes)


def count_of(content):
    words = content.split()
    lines = content.count("\n")
    return Counts(lines, len(words) + lines, words.count("<unk>"), len({*words}) + 1)


def write(folder, content=LINES):
    folder.mkdir(exist_ok=True)
    for name, lines in content.items():
        (folder / f"{name}.txt").write_text(lines)
    return folder


def test_from_local_files_to_a_data_bin(tmp_path, capsys):
    dest = tmp_path / "bin"
    corpus.prepare(small(dictionary=4 + 5), dest, write(tmp_path / "here"))
    assert {"dict.txt", "train.bin", "valid.idx", "test.bin", ".complete"} <= {p.name for p in dest.iterdir()}
    assert level_of(dest) == "word"
    facts = json.loads((dest / ".complete").read_text())
    assert facts["train"] == {"lines": 4, "tokens": 12, "unknown": 1, "types": 7, "targets": 12}
    before = {p: p.stat().st_mtime_ns for p in dest.rglob("*") if p.is_file()}
    for source in (None, write(tmp_path / "elsewhere")):
        corpus.prepare(small(), dest, source)
        assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="missing does not exist"):
        corpus.prepare(small(), dest, tmp_path / "missing")
    assert before == {p: p.stat().st_mtime_ns for p in dest.rglob("*") if p.is_file()}


@pytest.mark.parametrize("kind", ["xz", "gz", "zip", "tgz"])
def test_compressed_files_are_found(kind, tmp_path):
    content, source = LINES["train"].encode(), tmp_path / "source"
    source.mkdir()
    if kind == "zip":
        with zipfile.ZipFile(source / "all.zip", "w") as archive:
            archive.writestr("deep/inside/train.txt", content)
    elif kind == "tgz":
        (tmp_path / "train.txt").write_bytes(content)
        with tarfile.open(source / "all.tgz", "w:gz") as archive:
            archive.add(tmp_path / "train.txt", "deep/train.txt")
    else:
        opener = {"xz": lzma.open, "gz": gzip.open}[kind]
        with opener(source / f"train.txt.{kind}", "wb") as file:
            file.write(content)
    assert extract(source, ("other.txt", "train.txt"), tmp_path / "found")
    assert (tmp_path / "found").read_bytes() == content
    assert not extract(source, ("none.txt",), tmp_path / "none") and not (tmp_path / "none").exists()
    broken = next(source.iterdir())
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    with pytest.raises(SystemExit, match="cannot be read"):
        extract(source, ("train.txt",), tmp_path / "again")


def test_a_download_resumes_and_tries_the_next_mirror(served, tmp_path):
    folder, address, requests = served
    data = bytes(range(256)) * 10
    (folder / "file").write_bytes(data)
    (tmp_path / "file.part").write_bytes(data[:1000])
    digest = hashlib.sha256(data).hexdigest()
    path = download([f"{address}/gone", f"{address}/file"], tmp_path / "file", digest)
    assert path.read_bytes() == data and requests == [1000] and not (tmp_path / "file.part").exists()
    download(["http://127.0.0.1:9/never"], path, digest)
    (folder / "broken").write_bytes(b"x" * 20)
    for digest_, part in ((digest, "expected " + digest[:12]), (None, "404")):
        name = "broken" if digest_ else "missing"
        with pytest.raises(SystemExit, match=part) as error:
            download([f"{address}/{name}"], tmp_path / "other", digest_)
        assert "save it as" in str(error.value) and "--source" in str(error.value)
        assert not (tmp_path / "other").exists()


def test_from_the_network_and_after_a_kill_in_each_step(served, tmp_path, monkeypatch):
    folder, address, requests = served
    write(folder)
    digests = {name: hashlib.sha256(lines.encode()).hexdigest() for name, lines in LINES.items()}
    dest, wanted = tmp_path / "bin", small([f"{address}/nowhere", address], digests)

    class Killed(BaseException):
        pass

    def kill(*_, **__):
        raise Killed

    for module, name in (
        (corpus, "check"),
        (corpus, "binarize"),
        (binarize.shutil, "rmtree"),
        (corpus, "complete"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, kill)
            with pytest.raises(Killed):
                corpus.prepare(wanted, dest)
        assert not completion.is_complete(dest)
    corpus.prepare(wanted, dest)
    assert completion.is_complete(dest) and len(requests) == 3, "each file was read once"
    assert len(binarize.tokens_of(dest, "train")[0]) == 12


def test_another_text_is_refused(tmp_path):
    source = write(tmp_path / "here", {**LINES, "valid": "the cat sat\n"})
    with pytest.raises(SystemExit, match="valid.txt has 4 tokens, but the official text has 3"):
        corpus.prepare(small(), tmp_path / "bin", source)
    digests = {name: hashlib.sha256(lines.encode()).hexdigest() for name, lines in LINES.items()}
    with pytest.raises(SystemExit, match="valid text of small is not the official one"):
        corpus.prepare(small(digests=digests), tmp_path / "other", source)
    with pytest.raises(SystemExit, match="dict.txt gives 9 symbols, but that of the official text gives 7"):
        corpus.prepare(small(dictionary=7), tmp_path / "third", write(tmp_path / "right"))
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "dict.txt").write_text("mine 1\n")
    with pytest.raises(SystemExit, match="that this program did not make, and is left untouched"):
        corpus.prepare(small(), foreign, tmp_path / "right")
    assert (foreign / "dict.txt").read_text() == "mine 1\n"
    with pytest.raises(SystemExit, match="has none of valid.txt"):
        corpus.prepare(small(), tmp_path / "fourth", tmp_path / "other" / "text")
    assert not any(completion.is_complete(tmp_path / name) for name in ("bin", "other", "third", "fourth"))


def test_a_first_try_from_a_wrong_source_can_be_corrected(tmp_path, capsys):
    wrong = write(tmp_path / "wrong", {**LINES, "valid": "the cat sat\n"})
    with pytest.raises(SystemExit, match="valid.txt has 4 tokens"):
        corpus.prepare(small(), tmp_path / "bin", wrong)
    corpus.prepare(small(), tmp_path / "bin", write(tmp_path / "right"))
    assert "was begun from other inputs: starting again" in capsys.readouterr().out
    assert completion.is_complete(tmp_path / "bin")
    with pytest.raises(SystemExit, match=r"from a different valid text \(SHA-256 \w{12}..., now \w{12}...\)"):
        corpus.prepare(small(), tmp_path / "bin", wrong)
    with pytest.raises(SystemExit, match="holds the corpus small: give another folder"):
        corpus.prepare(corpus.Corpus("ptb", small().splits), tmp_path / "bin")


@pytest.mark.parametrize("end", ["\n", "\r\n", "  \n", " \t\n"])
def test_white_space_at_line_ends_does_not_change_the_text(end, tmp_path, capsys):
    official = {
        name: "".join(f" {line} \n" if line else " \n" for line in lines.splitlines())
        for name, lines in LINES.items()
    }
    digests = {name: hashlib.sha256(lines.encode()).hexdigest() for name, lines in official.items()}
    wanted = small(digests=digests, padded=True)
    copy = {name: lines.replace("\n", end) for name, lines in LINES.items()}
    source, dest = tmp_path / "copy", tmp_path / "bin"
    source.mkdir()
    for name, lines in copy.items():
        (source / f"{name}.txt").write_bytes(lines.encode())
    corpus.prepare(wanted, dest, source)
    assert "train text of small differs from the official one only in white space" in capsys.readouterr().out
    assert all((dest / f"text/{name}.txt").read_text() == official[name] for name in LINES)
    for same in (source, write(tmp_path / "official", official)):
        corpus.prepare(wanted, dest, same)
        assert "nothing to do" in capsys.readouterr().out
    corpus.prepare(wanted, tmp_path / "other", tmp_path / "official")
    assert "differs from" not in capsys.readouterr().out
    for split in LINES:
        tokens = [binarize.tokens_of(folder, split)[0].tolist() for folder in (dest, tmp_path / "other")]
        assert tokens[0] == tokens[1]
    (source / "train.txt").write_text(LINES["train"].replace("the cat", "the  cat"))
    with pytest.raises(SystemExit, match="train text of small is not the official one"):
        corpus.prepare(wanted, tmp_path / "third", source)


def test_an_archive_is_compared_with_the_official_one(tmp_path, capsys):
    data = b"<page>\nof bytes\nwithout end" * 9
    cuts = {"train": (0, 150), "valid": (150, 190), "test": (190, len(data))}

    def packed(name, content):
        (tmp_path / name).mkdir()
        with zipfile.ZipFile(tmp_path / name / "enwik8.zip", "w") as archive:
            archive.writestr("enwik8", content)
        return tmp_path / name

    good, flipped = packed("good", data), packed("flipped", data.replace(b"bytes", b"bites", 1))
    digest = hashlib.sha256((good / "enwik8.zip").read_bytes()).hexdigest()
    wanted = dataclasses.replace(enwik8.enwik8(len(data), cuts), archive_sha256=digest)
    for number, source in enumerate((good, good / "enwik8.zip")):
        corpus.prepare(wanted, tmp_path / f"bin{number}", source)
        assert "checked by its length" not in capsys.readouterr().out
    with pytest.raises(SystemExit, match="enwik8.zip is not the official archive: its SHA-256 is"):
        corpus.prepare(wanted, tmp_path / "other", flipped)
    (tmp_path / "enwik8").write_bytes(data)
    corpus.prepare(wanted, tmp_path / "plain", tmp_path / "enwik8")
    line = "checked by its length and counts only, because the SHA-256 is known only for enwik8.zip"
    assert line in capsys.readouterr().out
    (tmp_path / "enwik8").write_bytes(data[:-1])
    with pytest.raises(SystemExit, match="bytes, not the official"):
        corpus.prepare(wanted, tmp_path / "short", tmp_path / "enwik8")


def symbols(folder, split):
    """The targets of a split as symbols; </s> is a line break."""
    words = [line.split()[0] for line in (Path(folder) / "dict.txt").read_text().splitlines()]
    tokens, _ = binarize.tokens_of(folder, split)
    return [{2: "\n"}.get(number) or words[number - 4] for number in tokens.tolist()]


def test_every_byte_of_enwik8_is_one_target(tmp_path):
    data = "<page>\nÄ text\n\nof bytes\nwithout end".encode() * 9 + b"\nlast"
    (tmp_path / "enwik8").write_bytes(data)
    cuts = {"train": (0, 200), "valid": (200, 263), "test": (263, len(data))}
    corpus.prepare(enwik8.enwik8(len(data), cuts), tmp_path / "bin", tmp_path)
    for split, (first, last) in cuts.items():
        assert level_of(tmp_path / "bin") == "byte"
        assert text_sizes(tmp_path / "bin", split, "byte", last - first)[0] == last - first
        found = bytes(10 if symbol == "\n" else int(symbol) for symbol in symbols(tmp_path / "bin", split))
        assert found == data[first:last]
    with pytest.raises(SystemExit, match="bytes, not the official 100,000,000"):
        corpus.prepare(enwik8.enwik8(), tmp_path / "other", tmp_path)


def test_every_character_of_text8_is_one_target(tmp_path):
    draw = np.random.default_rng(1)
    data = "".join(draw.choice(list("abcdefghijklmnopqrstuvwxyz "), 25_100)).encode()
    (tmp_path / "text8").write_bytes(data)
    cuts = {"train": (0, 25_000), "valid": (25_000, 25_040), "test": (25_040, 25_100)}
    corpus.prepare(text8.text8(len(data), cuts), tmp_path / "bin", tmp_path)
    for split, (first, last) in cuts.items():
        assert read_text_json(tmp_path / "bin") == {"level": "underscore"}
        found = "".join(symbols(tmp_path / "bin", split)).replace("_", " ")
        assert found.encode() == data[first:last]


def test_the_billion_words_have_one_dictionary_and_a_folder_for_each_shard(tmp_path, capsys):
    source = tmp_path / "source"
    source.mkdir()
    draw = np.random.default_rng(2)
    train = {}
    for shard in range(4):
        lines = [" ".join(f"w{n}" for n in draw.zipf(1.5, 6) if n < 40) for _ in range(30)]
        train[shard] = "".join(line + "\n" for line in lines)
        (source / f"news.en-{shard:05d}-of-00100").write_text(train[shard])
    for name in gbw.HELD_OUT.values():
        (source / name).write_text("w1 w2 never\nw3\n")
    words = " ".join(train[shard] for shard in (1, 2, 3)).split()
    frequent = {word for word in words if words.count(word) >= 3}
    options = {"shards": 3, "words": len(frequent), "tokens": len(words) + 90, "test": Counts(2, 6)}
    gbw.prepare(tmp_path / "bin", source, workers=2, **options)
    found = {line.split()[0] for line in (tmp_path / "bin/dict.txt").read_text().splitlines()}
    assert found == frequent
    for shard in (1, 2, 3):
        folder = tmp_path / f"bin/{shard:02d}"
        assert (folder / "dict.txt").read_bytes() == (tmp_path / "bin/dict.txt").read_bytes()
        assert len(binarize.tokens_of(folder, "train")[0]) == len(train[shard].split()) + 30
        assert (folder / "test.bin").exists() == (shard == 1)
    gbw.prepare(tmp_path / "bin", source, **options)
    with tarfile.open(tmp_path / "all.tar.gz", "w:gz") as archive:
        archive.add(source, "inside")
    gbw.prepare(tmp_path / "bin", tmp_path / "all.tar.gz", **options)
    assert capsys.readouterr().out.count("nothing to do") == 2, "the same content, packed or not"
    with pytest.raises(SystemExit, match="tokens, but the official ones have 7"):
        gbw.prepare(tmp_path / "other", source, **options | {"tokens": 7})
    with pytest.raises(SystemExit, match="has 3 of 99 training shards"):
        gbw.prepare(tmp_path / "other", source)
    (source / gbw.HELD_OUT["valid"]).write_text("w1 w2 other\n")
    with pytest.raises(SystemExit, match="from a different news.en.heldout-00001-of-00050 text"):
        gbw.prepare(tmp_path / "bin", source, **options)


def test_a_file_that_was_saved_by_hand_is_verified(tmp_path):
    digests = {name: hashlib.sha256(lines.encode()).hexdigest() for name, lines in LINES.items()}
    (tmp_path / "file").write_text("wrong")
    with pytest.raises(SystemExit, match="file is not the official file, because .* remove it"):
        download(["http://127.0.0.1:9/never"], tmp_path / "file", digests["train"])
    dest = tmp_path / "bin"
    (dest / "text").mkdir(parents=True)
    (dest / "text/valid.plain").write_text("the dog\n")  # of the same counts
    corpus.prepare(small(), dest, write(tmp_path / "here"))
    assert (dest / "text/valid.txt").read_text() == LINES["valid"], "--source is what was asked for"


def test_a_text_that_is_not_utf8_is_refused(tmp_path):
    source = write(tmp_path / "here")
    (source / "train.txt").write_bytes(LINES["train"].encode().replace(b"dog", b"d\xe9g"))
    with pytest.raises(SystemExit, match="line 2 of .*train.txt is not UTF-8: get the text again"):
        corpus.prepare(small(), tmp_path / "bin", source)
    corpus.prepare(small(), tmp_path / "bin", write(tmp_path / "right"))


def test_counting(tmp_path):
    (tmp_path / "x").write_text(LINES["train"])
    assert count(tmp_path / "x") == Counts(4, 12, 1, 7)
    check(tmp_path / "x", Counts(4))
    with pytest.raises(SystemExit, match="x has 1 unknown, but the official text has 3"):
        check(tmp_path / "x", Counts(unknown=3))
