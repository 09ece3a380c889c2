"""Read the files that ``torch.save`` and ``pickle.dump`` write, without running code.

torch >= 1.6 writes a zip archive: the pickle `data.pkl`, and a file for each storage. Older versions write
five pickles one after another, and then the storages.
"""

import pickle
import struct
import zipfile
from typing import Any, BinaryIO

import torch
from torch import Tensor

from lm_plugins.converting.unpickle import PickledStorage, PickledTensor, Unpickler, Unsafe
from lm_plugins.damage import ARCHIVE, damage
from lm_plugins.errors import Refused

MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of a file of torch < 1.6
DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
UNREADABLE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
)


class TorchFile:
    """The content of a file: its objects as stand-ins, its tensors read by :meth:`tensor`.

    Args:
        path: a file of ``torch.save`` or of ``pickle.dump``

    Raises:
        Refused: the file does not exist, is damaged, has another format, or calls a function
    """

    def __init__(self, path: str):
        self.path, self.folder = path, ""
        self.offsets: dict[str, tuple[int, int]] = {}  # of the storages of torch < 1.6: (start, bytes)
        try:
            wrong = damage(path)
            if wrong:
                raise Refused(f"{path} {wrong}: copy it again from where it was written")
            with open(path, "rb") as file:
                archive = file.read(len(ARCHIVE)) == ARCHIVE
                file.seek(0)
                self.content = self._read_archive() if archive else self._read_pickles(file)
        except OSError as error:
            raise Refused(
                f"{path} cannot be read ({error.strerror or error}): give the file of a model"
            ) from error
        except Unsafe as error:
            raise Refused(
                f"{path} was not read, and none of its code was run, because {error}: save the state_dict of "
                "the model, and convert that"
            ) from error
        except UNREADABLE as error:
            if isinstance(error, Refused):
                raise
            raise Refused(
                f"{path} is not a file of torch.save or pickle.dump ({str(error) or type(error).__name__}): "
                "give the file that the other project saved"
            ) from error

    def _read_archive(self) -> Any:
        with zipfile.ZipFile(self.path) as archive:
            names = archive.namelist()
            self.folder = next(name for name in names if name.endswith("/data.pkl"))[: -len("data.pkl")]
            order = f"{self.folder}byteorder"
            if order in names and archive.read(order) != b"little":
                raise ValueError("its numbers are big-endian")
            with archive.open(f"{self.folder}data.pkl") as file:
                return Unpickler(file).load()

    def _read_pickles(self, file: BinaryIO) -> Any:
        content = Unpickler(file).load()
        if content != MAGIC:
            return content
        for _ in ("the version of the format", "the sizes of integers"):
            Unpickler(file).load()
        unpickler = Unpickler(file)
        content = unpickler.load()
        for key in Unpickler(file).load():
            elements = struct.unpack("<q", file.read(8))[0]
            length = elements * DTYPES[unpickler.storages[str(key)].kind].itemsize
            self.offsets[str(key)] = file.tell(), length
            file.seek(length, 1)
        return content

    def tensor(self, pickled: PickledTensor) -> Tensor:
        """Return a tensor of the file, on the CPU.

        Raises:
            Refused: the file does not have its elements
        """
        storage, offset, size, stride = pickled
        try:
            content, dtype = self._bytes(storage), DTYPES[storage.kind]
            elements = torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)
            start = storage.view[0] if storage.view else 0
            return elements.as_strided(tuple(size), tuple(stride), start + offset).clone()
        except (OSError, *UNREADABLE) as error:
            raise Refused(f"{self.path} is damaged: a tensor cannot be read ({error})") from error

    def _bytes(self, storage: PickledStorage) -> bytearray:
        if self.folder:
            with zipfile.ZipFile(self.path) as archive:
                return bytearray(archive.read(f"{self.folder}data/{storage.key}"))
        start, length = self.offsets[storage.key]
        with open(self.path, "rb") as file:
            file.seek(start)
            content = bytearray(file.read(length))
        if len(content) != length:
            raise ValueError("the file is cut short")
        return content
