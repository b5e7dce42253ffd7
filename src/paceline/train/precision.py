"""Which numbers the device computes in, chosen by what it has."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch

from paceline.core.errors import SettingError

PRECISIONS = ("fp32", "bf16", "fp16")
_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Precision:
    """A choice of precision and why it was made.

    Attributes:
        name: ``fp32``, ``bf16`` or ``fp16``; the last two by ``torch.autocast``, the
            weights stay in float32.
        device: Where.
        reason: What the choice rests on.
    """

    name: str
    device: torch.device
    reason: str

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The context in which forward passes run."""
        if self.name == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=_TYPES[self.name])

    def scaler(self) -> torch.amp.GradScaler:
        """A gradient scaler; it does nothing unless the precision is fp16."""
        return torch.amp.GradScaler(self.device.type, enabled=self.name == "fp16")


def find_device(wanted: str) -> torch.device:
    """The device by name, or the best there is for ``auto``.

    Raises:
        SettingError: It does not exist here.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = str(error).splitlines()[0]
        raise SettingError(f"the device {wanted!r} cannot be used here: {first}") from None
    return device


def choose_precision(wanted: str, device: torch.device) -> Precision:
    """The precision that was asked for, or the fastest that is safe on the device.

    bfloat16 on a CPU without instructions for it is slower than float32, so a CPU gets it
    only where it has them.

    Raises:
        SettingError: fp16 on a CPU, where it has no use.
    """
    if wanted == "fp16" and device.type == "cpu":
        raise SettingError("fp16 needs a GPU; on a CPU choose bf16, fp32 or auto")
    if wanted != "auto":
        return Precision(name=wanted, device=device, reason="as set")
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Precision(name="bf16", device=device, reason="the GPU has bf16 units")
        return Precision(name="fp16", device=device, reason="the GPU has no bf16 units")
    if device.type == "cpu" and cpu_has_bf16():
        return Precision(name="bf16", device=device, reason="the CPU has bf16 instructions")
    return Precision(name="fp32", device=device, reason=f"safe on {device.type}")


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware (AVX512-BF16, AMX or Arm's BF16)."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        flags = next(line for line in lines if line.startswith(("flags", "Features"))).split()
    except (OSError, StopIteration):
        return False
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags))
