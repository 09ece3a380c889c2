"""Nothing that a pickle names is imported or run."""

import io
import os
import pickle
import zipfile

import pytest
import torch

from lm_plugins.converting.torch_file import MAGIC, TorchFile
from lm_plugins.converting.vocabulary import read_vocabulary
from lm_plugins.errors import Refused


class Touch:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path, how):
        self.path, self.how = str(path), how

    def __reduce__(self):
        return {
            "system": (os.system, (f"touch {self.path}",)),
            "eval": (eval, (f"open({self.path!r}, 'w')",)),
            "getattr": (getattr, (io, "open")),
            "open": (open, (self.path, "w")),
        }[self.how]


def written(kind, content, path):
    """Write `content` in a format of torch or pickle, and return the path."""
    if kind == "pickle":
        path.write_bytes(pickle.dumps(content))
    elif kind == "old torch":
        parts = (MAGIC, 1001, {}, content, [])
        path.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in parts))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("m/data.pkl", pickle.dumps(content, protocol=2))
    return str(path)


@pytest.mark.parametrize("kind", ["pickle", "old torch", "torch"])
@pytest.mark.parametrize("how", ["system", "eval", "open"])
def test_a_pickle_that_calls_something_is_refused(kind, how, tmp_path):
    path = written(kind, [Touch(tmp_path / "touched", how)], tmp_path / "model.pt")
    with pytest.raises(Refused, match="was not read, and none of its code was run, because it calls"):
        TorchFile(path)
    with pytest.raises(Refused, match="none of its code was run"):
        read_vocabulary(path)
    assert not (tmp_path / "touched").exists()


def test_an_attribute_is_not_looked_up(tmp_path):
    program = b"c__builtin__\ngetattr\n(cos\nsystem\nX\x05\x00\x00\x00closet\x85R."
    for text in (program, b"c__builtin__\ngetattr\n(]X\x06\x00\x00\x00appendtR."):
        (tmp_path / "model.pkl").write_bytes(text)
        with pytest.raises(Refused):
            TorchFile(str(tmp_path / "model.pkl"))


def test_a_class_that_cannot_be_imported_is_an_empty_one(tmp_path):
    program = b"\x80\x02cno_such_module\nThing\n)\x81}X\x01\x00\x00\x00aK\x07sb."
    (tmp_path / "model.pkl").write_bytes(program)
    assert vars(TorchFile(str(tmp_path / "model.pkl")).content) == {"a": 7}


def test_tensors_of_all_kinds(tmp_path):
    base = torch.arange(24.0)
    tensors = {
        "view": base[4:16].view(3, 4).t(),
        "half": torch.ones(2, dtype=torch.float16),
        "long": torch.arange(3),
        "empty": torch.empty(0, 5),
        "scalar": torch.tensor(2.5),
        "parameter": torch.nn.Parameter(torch.ones(3)),
    }
    for zipped in (True, False):
        torch.save(tensors, tmp_path / "t.pt", _use_new_zipfile_serialization=zipped)
        file = TorchFile(str(tmp_path / "t.pt"))
        for name, tensor in tensors.items():
            assert torch.equal(file.tensor(file.content[name]), tensor), name


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "missing"])
def test_a_damaged_file_is_refused(damage, tmp_path):
    path = tmp_path / "t.pt"
    torch.save({"x": torch.ones(100)}, path, _use_new_zipfile_serialization=False)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage == "missing":
        path.unlink()
    else:
        path.write_text("some text\n" if damage == "text" else "")
    with pytest.raises(Refused, match=str(path)):
        file = TorchFile(str(path))
        file.tensor(file.content["x"])


def test_a_tensor_beyond_its_storage_is_refused(tmp_path):
    torch.save({"x": torch.ones(4)}, tmp_path / "t.pt")
    file = TorchFile(str(tmp_path / "t.pt"))
    with pytest.raises(Refused, match="a tensor cannot be read"):
        file.tensor(file.content["x"]._replace(size=(1 << 40,)))
