"""Small networks that act: read from safetensors, worked out by numpy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from paceline.core.errors import SettingError
from paceline.policies.base.grid import MOVES, Array
from paceline.policies.base.sight import SIZE

FORMAT: Final = "paceline agents policy 1"
_HEADER_LENGTH = 8


@final
class Network:
    """Layers with tanh between them.

    Args:
        layers: A weight [out, in] and a bias [out] for each, as torch has them; the first
            takes what ``Sight`` tells, the last gives one number a move.

    Raises:
        SettingError: The layers do not fit together.

    >>> network = Network([(np.zeros((5, 26)), np.arange(5.0))])
    >>> network(np.ones(26)).tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """

    def __init__(self, layers: Sequence[tuple[Array, Array]]) -> None:
        width = SIZE
        for weight, bias in layers:
            if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
                raise SettingError(
                    f"a layer needs {width} inputs and a bias for each output, got the shapes "
                    f"{weight.shape} and {bias.shape}"
                )
            width = len(weight)
        if not layers or width != len(MOVES):
            raise SettingError(f"the last layer must give {len(MOVES)} numbers, got {width}")
        if not all(np.isfinite(each).all() for layer in layers for each in layer):
            raise SettingError("all weights must be finite")
        self.layers = [(np.asarray(w, dtype=float), np.asarray(b, dtype=float)) for w, b in layers]

    def __call__(self, seen: Array) -> Array:
        """What each move is worth [5]."""
        for at, (weight, bias) in enumerate(self.layers):
            seen = weight @ (np.tanh(seen) if at else seen) + bias
        return seen


def write_network(network: Network, facts: dict[str, Any]) -> bytes:
    """The content of a file: the weights, and facts about them as JSON in its header.

    >>> network = Network([(np.zeros((5, 26)), np.zeros(5))])
    >>> len(read_network(write_network(network, {"policy": "ppo"}), "x")[0].layers)
    1
    """
    tensors = {}
    for at, (weight, bias) in enumerate(network.layers):
        tensors[f"{at}.weight"] = np.ascontiguousarray(weight, dtype=np.float32)
        tensors[f"{at}.bias"] = np.ascontiguousarray(bias, dtype=np.float32)
    text = json.dumps({"format": FORMAT, "moves": list(MOVES)} | facts, sort_keys=True)
    return bytes(save(tensors, metadata={"facts": text}))


def read_network(content: bytes, place: str) -> tuple[Network, dict[str, Any]]:
    """A network and the facts about it.

    Args:
        content: Of the file.
        place: What a message calls it.

    Raises:
        SettingError: It is no such file, or is damaged.
    """
    try:
        length = int.from_bytes(content[:_HEADER_LENGTH], "little")
        header = json.loads(content[_HEADER_LENGTH : _HEADER_LENGTH + length])
        facts = json.loads(header["__metadata__"]["facts"])
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError):
        raise SettingError(f"{place}: this is no file of `paceline policy train`") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise SettingError(f"{place}: this is no file of `paceline policy train --for agents`")
    if facts.get("moves") != list(MOVES):
        raise SettingError(f"{place}: it was trained for other moves than {', '.join(MOVES)}")
    try:
        pairs = [
            (tensors[f"{at}.weight"], tensors[f"{at}.bias"]) for at in range(len(tensors) // 2)
        ]
        return Network(pairs), facts
    except (KeyError, SettingError) as error:
        raise SettingError(f"{place}: the network is damaged: {error}") from None


def find_network(place: str, name: str) -> Network:
    """The network in a file, or the one that is shipped for a policy.

    Args:
        place: A file; the shipped one when empty.
        name: The policy that it must be for.

    Raises:
        SettingError: It is missing, is no network, or is one for another policy.
    """
    file = resources.files("paceline.policies") / "trained" / f"{name}.safetensors"
    try:
        content = Path(place).read_bytes() if place else file.read_bytes()
    except OSError as error:
        raise SettingError(
            f"{place or name}: no trained network can be read ({error.strerror}); make one with "
            f"`paceline policy train {name} --for agents --out FILE`"
        ) from None
    network, facts = read_network(content, place or name)
    if facts.get("policy") != name:
        raise SettingError(f"{place}: it was trained for {facts.get('policy')!r}, not for {name!r}")
    return network
