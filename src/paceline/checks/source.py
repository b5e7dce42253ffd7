"""What every source promises; with a place that it reads, also what it makes of it."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from paceline.checks.base import Part, expect
from paceline.core.errors import DataError, MissingExtra
from paceline.core.progress import Silence
from paceline.data.base import Corpus, Examples, Opening

_OPENING = Opening(target="target", skip_bad=False, progress=Silence())
_KINDS = re.compile(r"[a-z][a-z0-9_]*")
_GARBAGE = (b"", b"\0", b"\xff\xfe\xfd" * 50, b"PK\x03\x04" + b"\x11" * 60, b'{]\n\x1f\x8b,,"')
_NO_ONES_ENDING = "a file.of-no-known-kind"
_CUTS = 8
_FLIPS = 12


def says_in_one_line_what_it_reads(part: Part) -> None:
    words = getattr(part, "promise", None)
    expect(
        isinstance(words, str) and bool(words.strip()) and "\n" not in words,
        f"promise must say in one line what it reads, got {words!r}",
    )


def is_made_without_arguments(part: Part) -> None:
    part()


def recognises_nothing_that_could_be_anything(part: Part) -> None:
    with _folder() as folder:
        plain = folder / _NO_ONES_ENDING
        plain.write_bytes(_GARBAGE[2])
        (folder / "empty").mkdir()
        anything: tuple[Any, ...] = (None, 3, 2.5, True, object(), len, "", "no such word", set())
        for place in (*anything, plain, folder / "empty", folder / "missing"):
            found = part.recognises(place)
            expect(found is False, f"recognises({_shown(place)}) is {found!r}, not False")


def refuses_garbage_under_its_own_endings(part: Part) -> None:
    """The endings are those that its ``promise`` names."""
    with _folder() as folder:
        for name in _names(part):
            for content in _GARBAGE:
                path = folder / name
                path.write_bytes(content)
                for place in (path, folder):
                    if part.recognises(place):
                        _read_or_refuse(part, place, f"{name} with {content[:8]!r}…")
                path.unlink()


def recognises_its_place(part: Part, place: Any) -> None:
    expect(part.recognises(place) is True, f"recognises({_shown(place)}) is not True")


def gives_a_corpus_whose_first_axes_agree(part: Part, place: Any) -> None:
    corpus = part().read(place, _OPENING)
    expect(isinstance(corpus, Corpus), f"read gave a {type(corpus).__name__}, not a Corpus")
    for name, examples in _parts(corpus).items():
        inputs = examples.inputs if isinstance(examples.inputs, tuple) else (examples.inputs,)
        lengths = {len(one) for one in inputs}
        expect(examples.targets is not None, f"the {name} examples have no targets")
        lengths.add(len(examples.targets) if examples.targets is not None else -1)
        expect(len(lengths) == 1, f"the {name} examples' parts have lengths {sorted(lengths)}")
    expect(bool(_KINDS.fullmatch(corpus.kind)), f"{corpus.kind!r} is no name of a kind")
    fit = bool(corpus.name) and not set(corpus.name) & set('/\\: \n"')
    expect(fit, f"{corpus.name!r} is no name for a folder")


def reads_the_same_twice(part: Part, place: Any) -> None:
    first, second = (part().read(place, _OPENING) for _ in range(2))
    expect(first.fingerprint == second.fingerprint, "the fingerprints of two reads differ")
    expect(_same_corpus(first, second), "the examples of two reads differ")


def reads_the_inputs_alone_too(part: Part, place: Any) -> None:
    examples = part().read_inputs(place, _OPENING)
    expect(isinstance(examples, Examples), f"read_inputs gave a {type(examples).__name__}")
    expect(len(examples) > 0, "read_inputs gave no examples")


def refuses_or_reads_whatever_is_cut_off_or_flipped(part: Part, place: Any) -> None:
    for what, damaged in _damaged(place):
        if part.recognises(damaged):
            _read_or_refuse(part, damaged, what)


def changes_its_fingerprint_with_the_data(part: Part, place: Any) -> None:
    before = part().read(place, _OPENING)
    for what, damaged in _damaged(place):
        if not part.recognises(damaged):
            continue
        with contextlib.suppress(DataError):
            after = part().read(damaged, _OPENING)
            expect(
                after.fingerprint != before.fingerprint or _same_corpus(before, after),
                f"other examples have the same fingerprint ({what})",
            )


def _read_or_refuse(part: Part, place: Any, what: str) -> None:
    for read in (part().read, part().read_inputs):
        try:
            found = read(place, _OPENING)
            _touch(found)
        except (DataError, MissingExtra) as error:
            expect("\n" not in str(error), f"{what} is not refused in one line: {error}")
        except Exception as error:
            raise AssertionError(
                f"{what} must be read or refused with DataError, not with"
                f" {type(error).__name__}: {error}"
            ) from error


def _touch(found: Corpus | Examples) -> None:
    """Decodes what was only pointed at."""
    for examples in _parts(found).values() if isinstance(found, Corpus) else (found,):
        if hasattr(examples.inputs, "load"):
            examples.inputs.load()


def _parts(corpus: Corpus) -> dict[str, Examples]:
    parts = {"training": corpus.train, "validation": corpus.validation, "test": corpus.test}
    return {name: examples for name, examples in parts.items() if examples is not None}


def _same_corpus(one: Corpus, other: Corpus) -> bool:
    first, second = _parts(one), _parts(other)
    return first.keys() == second.keys() and all(
        _same_examples(first[name], second[name]) for name in first
    )


def _same_examples(one: Examples, other: Examples) -> bool:
    left, right = ((*_arrays(each.inputs), each.targets) for each in (one, other))
    return len(left) == len(right) and all(map(_same_array, left, right))


def _arrays(inputs: Any) -> tuple[Any, ...]:
    if isinstance(inputs, tuple):
        return inputs
    return (inputs.load() if hasattr(inputs, "load") else inputs,)


def _same_array(one: Any, other: Any) -> bool:
    if hasattr(one, "equals"):
        return bool(one.equals(other))
    exact = getattr(one, "dtype", None) == getattr(other, "dtype", None)
    if exact and getattr(one, "dtype", np.dtype("b")).kind == "O" and len(one) == len(other):
        return all(map(np.array_equal, one.tolist(), other.tolist()))
    floats = exact and getattr(one, "dtype", np.dtype("O")).kind == "f"
    return exact and np.array_equal(one, other, equal_nan=floats)


def _names(part: Part) -> Iterator[str]:
    """Names of files after the words of a promise that look like names or endings."""
    for word in re.findall(r"[\w.*-]+", getattr(part, "promise", "")):
        if word.startswith((".", "*.")):
            yield "data" + word.lstrip("*")
        elif "." in word.strip("."):
            yield word
        elif len(word) in (3, 4):
            yield f"data.{word}"


def _damaged(place: Any) -> Iterator[tuple[str, Path]]:
    """Copies of a place with one file cut off, or one bit flipped, here and there."""
    if not isinstance(place, Path):
        return
    with _folder() as folder:
        copy = folder / place.name
        if place.is_dir():
            shutil.copytree(place, copy)
        else:
            shutil.copyfile(place, copy)
        for path in _some_files(copy):
            content = path.read_bytes()
            for what, changed in _changes(content):
                path.write_bytes(changed)
                yield f"{path.name} {what}", copy
            path.write_bytes(content)


def _some_files(copy: Path) -> list[Path]:
    if copy.is_file():
        return [copy]
    files = sorted(path for path in copy.rglob("*") if path.is_file())
    return files[:: max(1, len(files) // 3)]


def _changes(content: bytes) -> Iterator[tuple[str, bytes]]:
    for cut in np.linspace(0, max(len(content) - 1, 0), _CUTS).astype(int).tolist():
        yield f"cut off after {cut} bytes", content[:cut]
    for at in np.linspace(0, max(len(content) - 1, 0), _FLIPS).astype(int).tolist():
        if content:
            flipped = bytes([content[at] ^ (1 << at % 8)])
            yield f"with a bit flipped in byte {at}", content[:at] + flipped + content[at + 1 :]


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name).resolve()


def _shown(place: Any) -> str:
    return place.name if isinstance(place, Path) else repr(place)
