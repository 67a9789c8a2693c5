"""Networks in ONNX files, run by onnxruntime on the processor: features or logits, without gradients."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lib.errors import BadInput, one_of
from lib.models.sources.asked import Asked, Named, stated, stated_classes, yes_no
from lib.models.sources.library import imported
from lib.models.sources.wrapped import WrappedEncoder, first_words, probed

KINDS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
WHERE = "in the file's metadata (size, resize, interpolation, mean, std, logits, classes)"


class OnnxNetwork(nn.Module):
    """An onnxruntime session as a module: float images (N, 3, H, W) -> the output `output`, as a tensor there.

    A file whose batch has one fixed size is given that many at a time, the last filled up.
    """

    def __init__(self, session: Any, output: str) -> None:
        super().__init__()
        self.session, self.output = session, output
        entry = session.get_inputs()[0]
        self.entry, self.kind = entry.name, KINDS[entry.type]
        self.batch = entry.shape[0] if isinstance(entry.shape[0], int) else None
        self.channels_last = entry.shape[1] != 3 and entry.shape[3] == 3

    def forward(self, x: Tensor) -> Tensor:
        images = x.detach().cpu().permute(0, 2, 3, 1) if self.channels_last else x.detach().cpu()
        array = images.contiguous().numpy().astype(self.kind)
        if not self.batch or not len(array):
            return self._run(array).to(x.device)
        parts = []
        for start in range(0, len(array), self.batch):
            part = array[start : start + self.batch]
            filled = np.concatenate([part, np.repeat(part[-1:], self.batch - len(part), axis=0)])
            parts.append(self._run(filled)[: len(part)])
        return torch.cat(parts).to(x.device)

    def _run(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(self.session.run([self.output], {self.entry: array})[0])


def open_onnx(asked: Asked) -> Named:
    """`onnx:FILE`; size, mean and std are in the file's metadata or behind the name, `?output=` chooses of several.

    With `?logits=yes` (or that in the metadata) the outputs are a classifier's: they are features and logits at once.
    """
    runtime = imported("onnxruntime", asked.name)
    path = Path(asked.body)
    if not path.is_file():
        raise BadInput(f"there is no file {path}; onnx:FILE names one")
    session = _session(runtime, path)
    entry = _check_entry(session, path)
    fixed = [side for side in entry.shape[1:] if isinstance(side, int) and side != 3]
    attributes: dict = dict(session.get_modelmeta().custom_metadata_map)
    if fixed:
        attributes["size"] = fixed[0]
    outputs = [output.name for output in session.get_outputs()]
    if len(outputs) > 1 and "output" not in asked.options:
        raise BadInput(f"{path} has the outputs {', '.join(outputs)}; choose one by ?output=NAME")
    output = one_of(asked.options.get("output", outputs[0]), outputs, "output of the file")
    preprocessing = stated(asked, attributes, WHERE)
    if fixed and preprocessing.size != fixed[0]:
        raise BadInput(f"{path} takes images of {fixed[0]} px alone, not of {preprocessing.size} px")
    encoder = WrappedEncoder(asked.name, OnnxNetwork(session, output), preprocessing)
    features, _ = probed(encoder)
    logits = yes_no(asked.options.get("logits", attributes.get("logits", False)), "value of logits")
    classes = stated_classes(asked.options.get("classes", attributes.get("classes"))) if logits else None
    said = "features are its logits" if logits else f"features are its output {output}"
    source = f"onnxruntime {runtime.__version__}, {path.name}, {path.stat().st_size / 1e6:.1f} MB; {said}; no gradients"
    head = nn.Identity() if logits else None
    _check_classes(classes, features.shape[1], asked.name)
    return Named(asked.name, encoder, preprocessing, head, classes, False, source)


def _session(runtime: ModuleType, path: Path) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of onnxruntime's own kinds
        raise BadInput(f"{path} cannot be opened by onnxruntime ({first_words(error)})") from error


def _check_entry(session: Any, path: Path) -> Any:
    entries = session.get_inputs()
    entry = entries[0]
    four = len(entry.shape) == 4 and (entry.shape[1] == 3 or entry.shape[3] == 3)
    if len(entries) != 1 or not four or entry.type not in KINDS:
        told = "; ".join(f"{entry.name} {entry.type} {entry.shape}" for entry in entries)
        raise BadInput(f"{path} takes {told}; an encoder takes one input of float images (N, 3, H, W) or (N, H, W, 3)")
    sides = entry.shape[2:] if entry.shape[1] == 3 else entry.shape[1:3]
    if all(isinstance(side, int) for side in sides) and sides[0] != sides[1]:
        raise BadInput(f"{path} takes images of {sides[0]} x {sides[1]} pixels; encoders take squares")
    return entry


def _check_classes(classes: tuple[str, ...] | None, outputs: int, name: str) -> None:
    if classes is not None and len(classes) != outputs:
        raise BadInput(f"{name} states {len(classes)} classes and gives {outputs} outputs; they are as many")
