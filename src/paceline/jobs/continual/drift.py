"""Whether a stream of numbers has moved, by ADWIN."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from paceline.core.extras import need

MOST_COLUMNS = 16
CONFIDENCE = 0.002


@final
class Drift:
    """Watches numbers by name, and names those whose mean has moved.

    ADWIN keeps a window of the newest numbers and cuts off its older part when the means of
    the two differ by more than chance allows. An alarm for a mean that fell is none where
    falling is good: the loss.

    Args:
        confidence: Chance of a false alarm at one cut, over 0 and under 1; it is shared
            among the numbers that are watched.

    Reference:
        Bifet & Gavaldà, Learning from Time-Changing Data with Adaptive Windowing, SDM 2007.
    """

    def __init__(self, confidence: float = CONFIDENCE) -> None:
        self._detectors: dict[str, Any] = {}
        self._confidence = confidence
        self._library = need("river.drift", extra="stream", purpose="noticing drift")

    def watch(self, numbers: Mapping[str, Iterable[float]]) -> list[str]:
        """Takes in numbers, the oldest first; gives the names of what moved, once each."""
        moved = []
        for name, values in numbers.items():
            detector = self._detectors.get(name)
            if detector is None:
                share = self._confidence / max(1, len(numbers))
                detector = self._detectors[name] = self._library.ADWIN(delta=share)
            alarms = [_moved(detector, float(value), name == "loss") for value in values]
            if any(alarms):  # all were taken in
                moved.append(name)
        return moved


def _moved(detector: Any, value: float, only_up: bool) -> bool:
    if not np.isfinite(value):
        return False
    before = detector.estimation
    detector.update(value)
    return bool(detector.drift_detected) and not (only_up and detector.estimation < before)


def summaries(inputs: tuple[Any, ...], seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Some numbers of each example, by name: what drift of inputs is looked for in.

    Inputs with up to 16 numbers are taken as they are; of wider ones 16 projections on
    directions drawn by the seed, so that a change of any kind shows in most of them.

    Args:
        inputs: Encoded, first axis the example.
        seed: Of the directions.

    Returns:
        float64 [n] each.
    """
    found: dict[str, np.ndarray[Any, Any]] = {}
    for at, part in enumerate(inputs):
        flat = torch.as_tensor(part).reshape(len(part), -1).double()
        if flat.shape[1] > MOST_COLUMNS:
            flat = flat @ _directions(flat.shape[1], seed)
        values = np.nan_to_num(flat.numpy())
        found |= {f"input {at}.{column}": values[:, column] for column in range(values.shape[1])}
    return found


def _directions(width: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(2, (width, MOST_COLUMNS), generator=generator).double() * 2 - 1
    scaled: Tensor = signs / width**0.5
    return scaled
