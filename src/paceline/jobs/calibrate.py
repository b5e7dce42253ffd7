"""Makes a trained network's probabilities honest, and its choices fair where that is asked."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from paceline.jobs.material import Material
from paceline.jobs.record import Record
from paceline.tasks.base import Classification
from paceline.train.judge import answers
from paceline.train.precision import Precision

_TEMPERATURES = (1.0, *(round(2 ** (at / 8), 4) for at in range(-16, 25) if at))
_STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
_LEAST = 30
_FAIR = ("balanced_accuracy", "macro_f1")


def calibrate(
    material: Material, network: nn.Module, precision: Precision, record: Record, step: int
) -> None:
    """Sets the goal's temperature and offsets by the validation examples.

    The temperature is the one that makes them likeliest. Where classes count alike
    (``metric`` is balanced accuracy or macro F1), ``− τ log share`` of each class is added to
    the outputs, with the τ of 0 to 1 that is best by that metric; it stays 0 unless more is
    gained than one standard error.

    Reference:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2; Menon et
        al., Long-tail Learning via Logit Adjustment, ICLR 2021, equation 9.
    """
    goal = material.goal
    if material.validation is None or not isinstance(goal, Classification):
        return
    goal.temperature, goal.offsets = 1.0, None
    outputs, wanted = answers(network, material.validation(), _Outputs(goal), precision)
    if len(wanted) < _LEAST:
        return
    found = _temperature(goal, outputs, wanted)
    if found["temperature"] != 1.0:
        reason = "makes the probabilities of the validation examples likeliest"
        chosen = found.pop("temperature")
        record.decide("temperature", chosen, seen=found, reason=reason, source="judge", step=step)
    if goal.primary in _FAIR:
        found = _offsets(goal, outputs, wanted)
        reason = f"the best {goal.primary} of the validation examples, if it gains more than noise"
        chosen = found.pop("strength")
        record.decide("offsets", chosen, seen=found, reason=reason, source="judge", step=step)


def _temperature(goal: Classification, outputs: Tensor, wanted: Tensor) -> dict[str, float]:
    losses: dict[float, float] = {}
    for temperature in _TEMPERATURES:
        goal.temperature = temperature
        losses[temperature] = goal.metrics(goal.answer(outputs), wanted)["log_loss"]
    best = min(losses, key=lambda each: (losses[each], abs(each - 1.0)))
    goal.temperature = best
    return {"temperature": best, "log_loss": losses[best], "before": losses[1.0]}


def _offsets(goal: Classification, outputs: Tensor, wanted: Tensor) -> dict[str, float]:
    shares = torch.bincount(wanted, minlength=goal.outputs).double() + 1
    bias = -(shares / shares.sum()).log()
    reached: dict[float, float] = {}
    for strength in _STRENGTHS:
        goal.offsets = (strength * bias).tolist()
        reached[strength] = goal.metrics(goal.answer(outputs), wanted)[goal.primary]
    best = max(_STRENGTHS, key=lambda each: reached[each])
    noise = (reached[0.0] * (1 - reached[0.0]) / len(wanted)) ** 0.5
    if reached[best] - reached[0.0] <= noise:
        best = 0.0
    goal.offsets = (best * bias).tolist() if best else None
    return {"strength": best, goal.primary: reached[best], "before": reached[0.0]}


@final
class _Outputs:
    """Gives outputs as they are."""

    def __init__(self, goal: Classification) -> None:
        self.metrics, self.better = goal.metrics, goal.better

    def judged(self, output: Any, target: Tensor) -> Tensor:
        """The outputs."""
        found: Tensor = output
        return found
