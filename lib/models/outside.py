"""Files that other projects saved: known by what is in them, not by their names, and opened without running any."""

from __future__ import annotations

import argparse
import collections
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from lib.errors import BadInput

# Entries of a file that hold its weights, the best first: an average over training before what was averaged.
CONTAINERS = (
    "teacher",
    "target_encoder",
    "model_ema",
    "state_dict_ema",
    "student",
    "state_dict",
    "model_state_dict",
    "model",
) + ("net", "encoder", "backbone", "module")
POINTER = b"version https://git-lfs"
KINDS = (  # how a file begins that is no checkpoint, and what it is
    (b"<", "an HTML or XML page, which a server sends where a link leads to no file; fetch the file itself"),
    (b"\x1f\x8b", "packed by gzip; unpack it"),
    (b"\x89HDF", "a file of HDF5; save its arrays as tensors by torch.save"),
    (b"\x93NUMPY", "a file of NumPy; save its arrays as tensors by torch.save"),
)


class Inert:
    """What stands in a file for an object whose code is not run: it takes everything and does nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        self.state = state


# NumPy's numbers and arrays, of which a training part may have some beside the weights, come out inert.
_NUMPY = ("multiarray.scalar", "multiarray._reconstruct", "numeric._frombuffer")
INERT = [f"numpy.{core}.{name}" for core in ("core", "_core") for name in _NUMPY]
INERT += ["numpy.dtype", "numpy.ndarray", "_codecs.encode"]


def read(path: Path) -> Mapping:
    """The entries of a file of torch or of safetensors, known by its content. Raises `BadInput` for any other file.

    Inside is what runs nothing: tensors, containers, numbers, texts. Numbers of NumPy are `Inert`.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(512)
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror or error})") from error
    if start[4:9] == b"\0\0\0\0{":  # the length of a header in JSON, then it
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise BadInput(f"{path} is damaged or no safetensors file ({error}); fetch it again") from error
    _refuse_other_kinds(path, start)
    entries = _torch_entries(path, start)
    if isinstance(entries, torch.nn.Module | torch.Tensor) or not isinstance(entries, Mapping):
        raise BadInput(f"{path} holds a {type(entries).__name__}; a checkpoint is a dict of names and tensors")
    return entries


def _refuse_other_kinds(path: Path, start: bytes) -> None:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(POINTER):
        size = re.search(rb"size (\d+)", text)
        bytes_ = f" of {int(size[1]):,} bytes" if size else ""
        raise BadInput(f"{path} is a Git LFS pointer to a file{bytes_}, not that file; fetch it by 'git lfs pull'")
    for beginning, kind in KINDS:
        if text.startswith(beginning):
            raise BadInput(f"{path} is no checkpoint but {kind}")


def _torch_entries(path: Path, start: bytes) -> object:
    try:
        # Options on the command line, which DINO keeps beside its weights: names and values, nothing that runs.
        known = [argparse.Namespace, *((Inert, name) for name in INERT)]
        with torch.serialization.safe_globals(known), open(path, "rb") as file:  # torch goes by a path's ending
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        if unsafe := re.search(r"(?:Unsupported global: GLOBAL|unsupported GLOBAL) (\S+)", str(error)):
            raise BadInput(
                f"{path} holds a {unsafe[1]}, and opening it could run code; where you trust its author, save its "
                f"tensors alone{_how(_outline(path))}"
            ) from error
        raise BadInput(f"{path} is damaged or no checkpoint of torch{_what(path, start)}; fetch it again") from error


def _how(outline: object) -> str:
    """A line that saves what `outline` has of weights, and the entries that this file has."""
    if outline is None:
        return ""
    if not isinstance(outline, Mapping):
        return ": torch.save(torch.load(path, weights_only=False).state_dict(), 'weights.pt')"
    held = next((name for name in CONTAINERS if isinstance(outline.get(name), Mapping | Outlined)), None)
    if held is None:
        part = "{name: x for name, x in torch.load(path, weights_only=False).items() if torch.is_tensor(x)}"
    else:
        module = "" if isinstance(outline[held], Mapping) else ".state_dict()"
        part = f"torch.load(path, weights_only=False)[{held!r}]{module}"
    return f" (it has {some(outline)}): torch.save({part}, 'weights.pt')"


def _what(path: Path, start: bytes) -> str:
    """In parentheses, what a file is that torch cannot read."""
    if not start:
        return " (it is empty)"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start):
        return f" (it is a text that begins with {start.decode().strip()[:40]!r})"
    if start[:1] == b"\x80" and isinstance(outline := _outline(path), Mapping) and outline:
        return f" (it is a pickle that torch did not save, with {some(outline)})"
    return ""


class Outlined(Inert):
    """An object of a file that is read for the names of its entries alone; it takes part in anything as nothing."""

    def __call__(self, *_: object, **__: object) -> Outlined:
        return Outlined()

    def append(self, _: object) -> None:
        pass

    extend = add = append

    def __setitem__(self, *_: object) -> None:
        pass

    def __hash__(self) -> int:
        return id(self)


class _Outliner(pickle.Unpickler):
    """Reads a pickle without any of its code: every class and function that it names is `Outlined` or a plain dict."""

    def find_class(self, module: str, name: str) -> type:
        known = module == "collections" and name in ("OrderedDict", "defaultdict")
        return getattr(collections, name) if known else Outlined

    def persistent_load(self, _: object) -> type:  # of a tensor's numbers, and in older files of a module's class
        return Outlined


def _outline(path: Path) -> object | None:
    """The dict that a file of torch holds, with `Outlined` for all but plain values; None where it cannot be read."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as packed:
                name = next(name for name in packed.namelist() if name.split("/")[-1] == "data.pkl")
                with packed.open(name) as file:
                    return _Outliner(file).load()
        with open(path, "rb") as file:
            first = _Outliner(file).load()
            if first == torch.serialization.MAGIC_NUMBER:  # of torch's older files: then version, system and content
                _Outliner(file).load(), _Outliner(file).load()
                return _Outliner(file).load()
            return first
    except Exception:  # pickle raises many kinds
        return None


def some(keys: object, most: int = 3) -> str:
    """A count and the first few, `most` at most: '5 (conv1.weight, bn1.weight, bn1.bias, ...)'."""
    if not keys:
        return "0"
    return f"{len(keys)} ({', '.join(map(str, list(keys)[:most]))}{', ...' if len(keys) > most else ''})"
