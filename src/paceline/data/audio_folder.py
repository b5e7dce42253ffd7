"""Folders of sounds: one folder for each class, with or without parts of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import numpy as np

from paceline.core.errors import DataError
from paceline.data.base import Corpus, Examples, Opening, Source
from paceline.data.base.class_folders import (
    Labelled,
    by_part,
    corpus_of,
    holds,
    refuse_classes,
    refuse_group,
    to_predict,
)
from paceline.data.base.fingerprint import fingerprint
from paceline.data.base.folders import visible
from paceline.data.base.sounds import is_sound, read_sounds

_TABLES = (".csv", ".tsv", ".jsonl", ".parquet")


@final
class AudioFolder(Source):
    """One folder of sounds for each class, or ``train`` and ``test`` folders with these.

    Several channels are mixed to one. All come to one rate, the commonest of the training
    files but not over 16,000 samples a second. ``facts["sample_rate"]`` has it.
    """

    promise = "a folder with one folder of sounds per class (wav flac ogg mp3 aiff)"

    @staticmethod
    def recognises(place: Any) -> bool:
        if not isinstance(place, Path):
            return False
        if not place.is_dir():
            return is_sound(place) and place.is_file()
        return holds(place, is_sound) and not _is_told_by_a_table(place)

    def read(self, place: Any, opening: Opening) -> Corpus:
        if not place.is_dir():
            raise DataError(f"{place} is one sound; training needs a folder of them per class")
        refuse_group(opening.group, place)
        notes: list[str] = []
        files = by_part(place, is_sound, notes)
        refuse_classes(files, place, "sounds", notes)
        parts: dict[str, Examples] = {}
        rate = opening.sample_rate
        for part in ("train", "validation", "test"):
            if part in files:
                parts[part], rate, kept = _examples(files[part], rate, opening, notes)
                files[part] = kept
        told = [[list(each.inputs), each.targets] for each in parts.values()]
        return corpus_of(
            place,
            "audio",
            parts,
            fingerprint=fingerprint("audio_folder", rate, told),
            notes=notes,
            sample_rate=rate,
        )

    def read_inputs(self, place: Any, opening: Opening) -> Examples:
        notes: list[str] = []
        files = to_predict(place, is_sound)
        examples, *_ = _examples(files, opening.sample_rate, opening, notes)
        for note in notes:
            opening.progress.warn(note)
        return examples


def _is_told_by_a_table(folder: Path) -> bool:
    """Whether a table beside the sounds tells what they are; then that is to be read."""
    entries = visible(folder)
    tables = [entry for entry in entries if entry.suffix.lower() in _TABLES and entry.is_file()]
    flat = not any(entry.is_dir() for entry in entries)
    return bool(tables) and (flat or any("train" in table.name.lower() for table in tables))


def _examples(
    files: list[Labelled], rate: int | None, opening: Opening, notes: list[str]
) -> tuple[Examples, int, list[Labelled]]:
    good, waveforms, rate, found = read_sounds(
        [one.path for one in files], rate, opening.progress, skip_bad=opening.skip_bad
    )
    notes += found
    kept = [files[at] for at in good]
    labels = [one.label for one in kept]
    targets = None if None in labels else np.array([*labels, None], dtype=object)[:-1]
    return Examples(inputs=waveforms, targets=targets), rate, kept
