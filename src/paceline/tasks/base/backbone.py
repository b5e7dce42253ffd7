"""Finds networks of Transformers that were trained before, on this machine only."""

from __future__ import annotations

import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from paceline.core.errors import DataError, SettingError, nearest
from paceline.core.extras import need
from paceline.tasks.base.tokens import Tokens

TUNES = ("frozen", "last", "all", "lora")
_PREFIX = "hf:"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
# What a configuration says of its own making; it changes nothing.
_IDLE = ("_name_or_path", "architectures", "transformers_version", "torch_dtype", "dtype")


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Backbone:
    """A network that was trained before.

    Attributes:
        place: Its folder.
        config: Its architecture, as Transformers has it in ``config.json``.
        tokens: Its tokenizer.
    """

    place: str
    config: dict[str, Any]
    tokens: Tokens

    def signed(self, tune: str) -> str:
        """For a signature: all that a model needs to be built again without the folder."""
        told = {"place": self.place, "tune": tune, "config": self.config}
        return _PREFIX + json.dumps(told, sort_keys=True)


def find_backbone(name: str, *, length: int) -> Backbone:
    """A network by ``hf:`` and a folder, a name in the hub's cache, or a package that has one.

    Nothing is downloaded, and only safetensors are read.

    Args:
        name: ``hf:folder``, ``hf:organisation/name`` or ``hf:package``.
        length: Tokens of a text at most.

    Raises:
        SettingError: It is not there, or it is none of Transformers'.
        DataError: It is there but cannot be used.
    """
    kind, colon, place = name.partition(":")
    if kind != _PREFIX[:-1] or not colon or not place:
        raise SettingError(f"backbone must be hf:FOLDER or hf:NAME, got {name!r}")
    folder = _folder(place)
    if not any((folder / weights).is_file() for weights in _WEIGHTS):
        raise DataError(f"{folder} has no model.safetensors; weights are read as safetensors only")
    config = _config(folder)
    most = config.get("max_position_embeddings")
    if isinstance(most, int) and most > 8:
        # RoBERTa and its kin count positions from behind the padding's number.
        length = min(length, most - (config.get("pad_token_id") or 0) - 1)
    tokens = Tokens(text=_tokenizer(folder), length=length, padding=config.get("pad_token_id") or 0)
    return Backbone(place=str(folder), config=config, tokens=tokens)


def refuse_tune(tune: str | None) -> None:
    """Refuses what is no way to tune.

    Raises:
        SettingError: It is none.
    """
    if tune is not None and tune not in TUNES:
        raise SettingError(f"there is no way to tune {tune!r}{nearest(str(tune), TUNES)}")


def _folder(place: str) -> Path:
    folder = Path(place).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise DataError(f"the backbone {folder} has no config.json; name a folder with one")
        return folder.resolve()
    found = _in_cache(place) or _in_package(place)
    if found is None:
        raise SettingError(
            f"there is no backbone {place!r}: neither a folder nor a model in the local cache,"
            " and nothing is downloaded; fetch it first and give its folder"
        )
    return found


def _in_cache(name: str) -> Path | None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    hub = need("huggingface_hub", extra="text", purpose="a backbone of Transformers")
    try:
        file = hub.try_to_load_from_cache(name, "config.json")
    except hub.errors.HFValidationError:
        return None
    return Path(file).parent if isinstance(file, str) else None


def _in_package(name: str) -> Path | None:
    """The first folder with a configuration in an installed package, which is not imported."""
    plain = name.replace("-", "_")
    if not plain.isidentifier():
        return None
    spec = importlib.util.find_spec(plain)
    if spec is None or not spec.submodule_search_locations:
        return None
    home = Path(next(iter(spec.submodule_search_locations)))
    return next((file.parent for file in sorted(home.glob("*/config.json"))), None)


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file} is damaged: {error}") from None
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise DataError(f"{file} names no model_type; it is no network of Transformers")
    if "auto_map" in config:
        raise DataError(f"{file} wants code of its own, which is never run; choose another")
    return {key: value for key, value in config.items() if key not in _IDLE}


def _tokenizer(folder: Path) -> str:
    package = need("tokenizers", extra="text", purpose="a backbone's tokenizer")
    file = folder / "tokenizer.json"
    if not file.is_file():
        return _slow_tokenizer(folder)
    try:
        text: str = package.Tokenizer.from_file(str(file)).to_str()
    # The package raises plain exceptions.
    except Exception as error:
        raise DataError(f"{file} is damaged: {str(error).splitlines()[0]}") from None
    return text


def _slow_tokenizer(folder: Path) -> str:
    """Of an older folder that has but a vocabulary."""
    transformers = need("transformers", extra="text", purpose="a backbone's tokenizer")
    try:
        made = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        wanted = sorted(set(made.vocab_files_names.values()))
        if not any((folder / name).is_file() for name in wanted):
            raise ValueError(f"there is no {' or '.join(wanted)}")
        text: str = made.backend_tokenizer.to_str()
    except (OSError, ValueError, AttributeError, ImportError) as error:
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise DataError(f"{folder} has no tokenizer that can be read: {reason}") from None
    return text
