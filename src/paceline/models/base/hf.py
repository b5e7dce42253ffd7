"""Encoders of Transformers: token by token states, tuned in several ways."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any, Literal, final

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from paceline.core.errors import DataError, SettingError
from paceline.core.extras import need
from paceline.core.signature import Signature
from paceline.models.base.sequence import trimmed

PURPOSE = "a backbone of Transformers"
_LAST_LAYERS = 2
_CHUNK_TOKENS = 512
_LORA_RANK = 8


@final
class Encoder(nn.Module):
    """A network that was trained before; gives a state for each token.

    The weights come from the folder as long as it is there; a saved run brings its own, and
    needs the description only.

    Args:
        described: As the task's signature has it: ``hf:`` and a JSON object with ``place``,
            ``config`` and ``tune``.
        fresh: Configuration to build with fresh weights where nothing is described.
        layers: Give the states of the ``last`` layer, or the mean of ``all`` layers' states.

    Attributes:
        width: Numbers in a state.
        tune: ``frozen``, the ``last`` two layers, ``all`` or ``lora``.
    """

    def __init__(
        self,
        described: str,
        *,
        fresh: dict[str, Any] | None = None,
        layers: Literal["last", "all"] = "last",
    ) -> None:
        super().__init__()
        self._layers = layers
        told: dict[str, Any] = {"config": fresh}
        if described:
            told = json.loads(described.removeprefix("hf:"))
        self.tune: str = told.get("tune", "all")
        self.padding = int(told["config"].get("pad_token_id") or 0)
        self.network = _built(told["config"], told.get("place"))
        self.width = int(self.network.config.hidden_size)
        self._names = _depths(self.network)
        if self.tune == "lora":
            self.network = _with_adapters(self.network)
        self._freeze()

    def _freeze(self) -> None:
        if self.tune == "frozen":
            self.network.requires_grad_(False)
        elif self.tune == "last":
            top = max(self._names.values())
            for name, parameter in self.network.named_parameters():
                parameter.requires_grad_(self._names[name] > top - _LAST_LAYERS)

    def train(self, mode: bool = True) -> Encoder:
        """As usual, but what is frozen drops nothing."""
        super().train(mode)
        if self.tune == "frozen":
            self.network.eval()
        return self

    def forward(self, tokens: Tensor) -> Tensor:
        """States [n, length, width] for tokens int64 [n, length]; zero where there is padding.

        Texts of like length are worked on together, so that little is wasted on padding.
        """
        present = tokens != 0
        states = torch.zeros((*tokens.shape, self.width), dtype=self._dtype(), device=tokens.device)
        for rows in _chunks(present.sum(1)):
            some = trimmed(tokens[rows])
            found = self._states(some)
            found = nn.functional.pad(found, (0, 0, 0, tokens.shape[1] - some.shape[1]))
            states = states.index_copy(0, rows, found.to(states.dtype))
        return states * present.unsqueeze(-1)

    def _states(self, tokens: Tensor) -> Tensor:
        present = tokens != 0
        present[:, 0] = True  # a text of nothing must still look at something
        numbers = tokens
        if self.padding:
            numbers = torch.where(tokens == self.padding, 0, tokens)
            numbers = torch.where(tokens == 0, self.padding, numbers)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.tune != "frozen"):
            found = self.network(
                input_ids=numbers,
                attention_mask=present.long(),
                output_hidden_states=self._layers == "all",
            )
        states: Tensor = found.last_hidden_state
        if self._layers == "all":
            states = torch.stack(found.hidden_states[1:]).mean(0)
        return states

    def _dtype(self) -> torch.dtype:
        first: Tensor = next(self.network.parameters())
        return first.dtype

    def depth_of(self, name: str) -> int:
        """How many layers lie below a parameter of the network; 0 for the embeddings."""
        plain = name.replace("base_model.model.", "").replace(".base_layer", "")
        return self._names.get(plain, max(self._names.values()))

    @property
    def top(self) -> int:
        """The depth of the last layer."""
        return max(self._names.values())


def groups(
    model: nn.Module, encoder: Encoder, *, weight_decay: float, decay: float
) -> list[dict[str, Any]]:
    """Groups for an optimizer, the head first; each layer learns slower than the one above it.

    ``rate = decay ** (layers above)``, and no weight decay for vectors.

    Args:
        model: All that is trained, the encoder included.
        encoder: Part of it.
        weight_decay: For matrices.
        decay: Over 0 and at most 1.

    Returns:
        Groups with ``params``, ``weight_decay`` and ``rate``, the share of the learning rate.

    Reference:
        Howard and Ruder, Universal Language Model Fine-tuning, ACL 2018, section 3.2.
    """
    inside = {id(each): name for name, each in encoder.network.named_parameters()}
    found: dict[tuple[float, bool], list[Tensor]] = {}
    for parameter in reversed(list(model.parameters())):
        if not parameter.requires_grad:
            continue
        name = inside.get(id(parameter))
        above = 0 if name is None else encoder.top - encoder.depth_of(name) + 1
        rate = 1.0 if encoder.tune == "lora" else decay**above
        found.setdefault((rate, parameter.ndim >= 2), []).append(parameter)
    return [
        {"params": some, "weight_decay": weight_decay if matrix else 0.0, "rate": rate}
        for (rate, matrix), some in sorted(found.items(), key=lambda each: -each[0][0])
    ]


def small_bert(signature: Signature) -> dict[str, Any]:
    """A configuration to build with fresh weights, where nothing was trained before."""
    field = signature.inputs[0]
    return {
        "model_type": "bert",
        "vocab_size": field.cardinalities[0],
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 128,
        "max_position_embeddings": max(512, field.shape[0]),
        "pad_token_id": 0,
    }


def _built(config: dict[str, Any], place: str | None) -> Any:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    transformers = need("transformers", extra="text", purpose=PURPOSE)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    values = {key: value for key, value in config.items() if key != "model_type"}
    try:
        made = transformers.AutoConfig.for_model(config["model_type"], **values)
        made.dtype = torch.float32
        if place is not None and (Path(place) / "config.json").is_file():
            network = transformers.AutoModel.from_pretrained(
                place,
                config=made,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
            )
        else:
            network = transformers.AutoModel.from_config(made)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise DataError(f"the backbone {place or config['model_type']}: {reason}") from None
    if getattr(network, "pooler", None) is not None:
        network.pooler = None  # of no use here, and nothing would teach it
    return network.float().train()


def _depths(network: nn.Module) -> dict[str, int]:
    """How deep each parameter lies: the embeddings 0, the first layer 1."""
    stacks = [
        (name, stack) for name, stack in network.named_modules() if isinstance(stack, nn.ModuleList)
    ]
    name, layers = max(stacks, key=lambda each: _size(each[1]), default=("", nn.ModuleList()))
    found = {}
    for parameter, _ in network.named_parameters():
        inside = parameter.startswith(f"{name}.") and bool(name)
        rest = parameter.removeprefix(f"{name}.").partition(".")[0] if inside else ""
        behind = not inside and "embed" not in parameter and bool(len(layers))
        found[parameter] = int(rest) + 1 if rest.isdigit() else len(layers) if behind else 0
    return found


def _size(stack: nn.ModuleList) -> int:
    return sum(each.numel() for each in stack.parameters())


def _with_adapters(network: Any) -> Any:
    peft = need("peft", extra="lora", purpose="tuning by LoRA")
    wanted = peft.LoraConfig(
        r=_LORA_RANK, lora_alpha=2 * _LORA_RANK, lora_dropout=0.05, target_modules="all-linear"
    )
    try:
        with warnings.catch_warnings():
            # The two packages do not always agree on what is still current.
            warnings.simplefilter("ignore", FutureWarning)
            return peft.get_peft_model(network, wanted)
    except ValueError as error:
        raise SettingError(f"this backbone takes no LoRA: {str(error).splitlines()[0]}") from None


def _chunks(lengths: Tensor) -> list[Tensor]:
    """Rows by length, in pieces that are worth a call of their own."""
    order = lengths.argsort(stable=True)
    pieces = max(1, int(lengths.sum()) // _CHUNK_TOKENS)
    return list(order.chunk(min(pieces, len(order))))
