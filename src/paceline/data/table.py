"""Tables: CSV and its relatives, Parquet, Feather, and pandas tables in memory."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from paceline.core.errors import DataError, nearest
from paceline.core.extras import need
from paceline.data.base import Corpus, Examples, Opening, Source
from paceline.data.base.delimited import Delimited, read_delimited
from paceline.data.base.fingerprint import fingerprint
from paceline.data.base.folders import short_name, visible
from paceline.data.base.looks import looks_delimited, looks_tagged

_TEXT = (".csv", ".tsv", ".txt", ".data")
_BINARY = (".parquet", ".pq", ".feather")
_JSON = (".jsonl", ".ndjson")
_ENDINGS = r"(\.gz)?$|\.(parquet|pq|feather|jsonl|ndjson)$"
_NAME = re.compile(r"\.(csv|tsv|txt|data)" + _ENDINGS, re.IGNORECASE)
# In a folder a .txt is more likely to be read by people.
_NAME_IN_FOLDER = re.compile(r"\.(csv|tsv|data)" + _ENDINGS, re.IGNORECASE)
_LAST = ("-1", "last")


@final
class Table(Source):
    """A table with a target column, or a folder with a training and a test table.

    Delimiter, encoding and header are found. Without a header the columns are called
    ``column_1`` and so on, and the target may be given by its number. ``facts["target"]``
    has the name of the column that was found; without a target all columns are inputs, and
    a task may find one by its name.
    """

    promise = "a table (.csv .tsv .txt .data, also .gz; .parquet .feather .jsonl)"

    @staticmethod
    def recognises(place: Any) -> bool:
        if not isinstance(place, Path):
            return _is_frame(place)
        if not place.is_dir():
            return bool(_NAME.search(place.name)) and _is_table(place)
        return bool(_named(place, "train")) or _only_tables(place)

    def read(self, place: Any, opening: Opening) -> Corpus:
        files = _files(place) if isinstance(place, Path) else {"train": place}
        loaded = _load(files.pop("train"), opening, None)
        target = None if opening.target is None else _target(loaded, opening.target)
        loaded, groups = _grouped(loaded, opening.group)
        notes = list(loaded.notes)
        train = _examples(loaded, target, opening, notes)
        content, parts = [_content(loaded, train)], {}
        for part, file in files.items():
            found = _without(_load(file, opening, loaded), opening.group)
            if _is_part(found, loaded, target, notes):
                notes += found.notes
                held_out = _examples(found, target, opening, notes)
                parts[part] = _matched(held_out, train, part, notes)
                content.append([part, _content(found, held_out)])
        return Corpus(
            name=short_name(place) if isinstance(place, Path) else "table",
            kind="table",
            train=train,
            validation=parts.get("validation"),
            test=parts.get("test"),
            fingerprint=fingerprint("table", target, content),
            notes=tuple(notes),
            facts=loaded.facts | {"target": target, "examples": len(train)} | _home(place),
            groups=None if groups is None else groups[_kept(loaded, target)],
        )

    def read_inputs(self, place: Any, opening: Opening) -> Examples:
        if isinstance(place, Path) and place.is_dir():
            file = _files(place).get("test") or _files(place)["train"]
        else:
            file = place
        loaded = _load(file, opening, None)
        for note in loaded.notes:
            opening.progress.warn(note)
        if opening.target not in loaded.frame:
            return Examples(inputs=loaded.frame, targets=None)
        column = loaded.frame[opening.target]
        inputs = loaded.frame.drop(columns=opening.target)
        return Examples(inputs=inputs, targets=None if column.isna().any() else _labels(column))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Loaded:
    frame: Any
    where: str
    header: bool
    lines: list[int] | None
    text: Delimited | None
    notes: tuple[str, ...]
    facts: dict[str, Any]


def _home(place: Any) -> dict[str, str]:
    """Where files lie that a table names."""
    if not isinstance(place, Path):
        return {}
    return {"folder": str(place if place.is_dir() else place.parent)}


def _grouped(loaded: _Loaded, name: str | None) -> tuple[_Loaded, np.ndarray[Any, Any] | None]:
    """The table without the column of groups, and that column."""
    if name is None:
        return loaded, None
    if name not in loaded.frame:
        columns = list(loaded.frame.columns)
        raise DataError(f"{loaded.where} has no column {name!r}{nearest(name, columns)}")
    return _without(loaded, name), loaded.frame[name].astype(str).to_numpy(dtype=object)


def _without(loaded: _Loaded, name: str | None) -> _Loaded:
    if name is None or name not in loaded.frame:
        return loaded
    return replace(loaded, frame=loaded.frame.drop(columns=name))


def _kept(loaded: _Loaded, target: str | None) -> Any:
    """Which rows have a target: bool [rows]."""
    if target is None:
        return slice(None)
    return loaded.frame[target].notna().to_numpy()


def _is_frame(place: Any) -> bool:
    return hasattr(place, "iloc") and hasattr(place, "columns")


def _tables(folder: Path) -> list[Path]:
    named = [entry for entry in visible(folder) if _NAME_IN_FOLDER.search(entry.name)]
    return [entry for entry in named if entry.is_file() and _is_table(entry)]


def _is_table(file: Path) -> bool:
    """Whether it is no text of another kind: tagged words, or sentences for people."""
    if file.suffix.lower() in (*_BINARY, *_JSON):
        return True
    prose = file.name.lower().removesuffix(".gz").endswith(".txt") and not looks_delimited(file)
    return not prose and not looks_tagged(file)


def _named(folder: Path, part: str) -> list[Path]:
    """The tables of a folder that are called after a part."""
    return [path for path in _tables(folder) if _part_of(path.name.lower()) == part]


def _part_of(name: str) -> str | None:
    for part, word in (("train", "train"), ("validation", "valid"), ("test", "test")):
        if word in name:
            return part
    return "validation" if {"dev", "devel", "val"} & set(re.split(r"[^a-z]+", name)) else None


def _only_tables(folder: Path) -> bool:
    return bool(_tables(folder)) and not any(entry.is_dir() for entry in visible(folder))


def _files(place: Path) -> dict[str, Path]:
    if not place.is_dir():
        return {"train": place}
    if not _named(place, "train"):
        tables = _tables(place)
        ratings = [table for table in tables if table.stem.lower() == "ratings"]
        if len(tables) > 1 and len(ratings) == 1:  # the others say what the items are
            return {"train": ratings[0]}
        if len(tables) > 1:
            names = ", ".join(path.name for path in tables[:5])
            raise DataError(
                f"{place} has {len(tables)} tables, none called train ({names}); name one"
            )
        return {"train": tables[0]}
    found = {}
    for part in ("train", "validation", "test"):
        named = _named(place, part)
        if len(named) > 1:
            names = ", ".join(path.name for path in named)
            raise DataError(
                f"{place} has several {part} tables ({names}); keep one, or name a file"
            )
        if named:
            found[part] = named[0]
    return found


def _load(file: Any, opening: Opening, like: _Loaded | None) -> _Loaded:
    if not isinstance(file, Path):
        return _in_memory(file)
    loaded = _read(file, opening, like)
    loaded.frame.attrs["folder"] = str(file.parent)  # what its cells may name files in
    return loaded


def _read(file: Path, opening: Opening, like: _Loaded | None) -> _Loaded:
    if file.suffix.lower() in _BINARY:
        return _checked(_binary(file), str(file))
    if file.suffix.lower() in _JSON:
        return _checked(_json_lines(file), str(file))
    text = read_delimited(
        file,
        target=opening.target,
        skip_bad=opening.skip_bad,
        like=None if like is None else like.text,
    )
    notes = text.notes
    if not text.layout.header and like is None:
        notes = (*notes, f"{file} has no header; its columns are called column_1, column_2 …")
    return _Loaded(
        frame=text.frame,
        where=str(file),
        header=text.layout.header,
        lines=text.lines,
        text=text,
        notes=notes,
        facts={
            "delimiter": text.layout.delimiter,
            "encoding": text.encoding,
            "header": text.layout.header,
            "columns": list(text.layout.columns),
        },
    )


def _binary(file: Path) -> Any:
    pandas = need("pandas", extra="tables", purpose=f"reading {file.name}")
    arrow = need("pyarrow", extra="tables", purpose=f"reading {file.name}")
    try:
        if file.suffix.lower() == ".feather":
            return pandas.read_feather(file)
        return pandas.read_parquet(file)
    except (arrow.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{file} cannot be read as {file.suffix[1:]}: {reason}") from None


def _json_lines(file: Path) -> Any:
    """A table of one JSON object a line."""
    pandas = need("pandas", extra="tables", purpose=f"reading {file.name}")
    rows: list[dict[str, Any]] = []
    number = 0
    try:
        for line in file.read_text(encoding="utf-8").splitlines():
            number += 1
            if line.strip():
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError("it is another value")
                rows.append(row)
    except UnicodeDecodeError:
        raise DataError(f"{file} is not UTF-8 text") from None
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{file}, line {number}: this is no JSON object ({error})") from None
    return pandas.DataFrame(rows)


def _in_memory(frame: Any) -> _Loaded:
    return _checked(frame, "the table")


def _checked(frame: Any, where: str) -> _Loaded:
    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{where} has the column name {twice[0]!r} twice; rename one")
    if not len(frame):
        raise DataError(f"{where} has no rows")
    return _Loaded(
        frame=frame.set_axis(names, axis=1).reset_index(drop=True),
        where=where,
        header=True,
        lines=None,
        text=None,
        notes=(),
        facts={"columns": names},
    )


def _target(loaded: _Loaded, wanted: str) -> str:
    """The name of the target column."""
    columns = list(loaded.frame.columns)
    if wanted in columns:
        found = wanted
    elif wanted in _LAST:
        found = columns[-1]
    elif not loaded.header and f"column_{wanted}" in columns:
        found = f"column_{wanted}"
    else:
        raise DataError(f"{loaded.where} has no column {wanted!r}{nearest(wanted, columns)}")
    if len(columns) == 1:
        raise DataError(f"{loaded.where} has no column but {found!r}; nothing to predict it from")
    return str(found)


def _examples(loaded: _Loaded, target: str | None, opening: Opening, notes: list[str]) -> Examples:
    if target is None:
        return Examples(inputs=loaded.frame, targets=None)
    frame, column = loaded.frame, loaded.frame[target]
    missing = np.flatnonzero(column.isna().to_numpy())
    if len(missing):
        first = int(missing[0])
        where = f"line {loaded.lines[first]}" if loaded.lines else f"row {first + 1}"
        what = f"{len(missing)} of {len(frame)} rows have no {target}, the first is {where}"
        if not opening.skip_bad:
            raise DataError(
                f"{loaded.where}: {what}; fill them in, or leave them out with --skip-bad"
            )
        if len(missing) == len(frame):
            raise DataError(f"{loaded.where}: the column {target} is empty")
        notes.append(f"{loaded.where}: {what}; they were left out")
        frame = frame[column.notna()].reset_index(drop=True)
        column = _whole(frame[target])
    return Examples(inputs=frame.drop(columns=target), targets=_labels(column))


def _content(loaded: _Loaded, examples: Examples) -> list[Any]:
    """What a fingerprint is made of; of a text its bytes, which takes the least time."""
    if loaded.text is not None:
        return [loaded.text.content, len(examples)]
    return [examples.inputs, examples.targets]


def _whole(column: Any) -> Any:
    """Integers again, where only missing values had made them fractions."""
    numbers = column.to_numpy()
    if column.dtype.kind == "f" and np.isfinite(numbers).all() and (numbers % 1 == 0).all():
        return column.astype(np.int64)
    return column


def _labels(column: Any) -> np.ndarray[Any, Any]:
    if hasattr(column, "cat"):
        column = column.astype(column.cat.categories.dtype)
    kind = getattr(column.dtype, "kind", "O")
    if kind in "iu":
        return np.asarray(column.to_numpy(), dtype=np.int64)
    if kind == "f":
        return np.asarray(column.to_numpy(dtype=np.float64), dtype=np.float64)
    return np.array([*map(str, column.tolist()), None], dtype=object)[:-1]


def _is_part(found: _Loaded, train: _Loaded, target: str | None, notes: list[str]) -> bool:
    """Whether a table can be held out: it has the columns of the training table."""
    have, need_ = set(found.frame.columns), set(train.frame.columns)
    if target is not None and have == need_ - {target}:
        notes.append(f"{found.where} has no column {target!r} and is not used")
        return False
    if have != need_:
        strange = sorted(have ^ need_)
        raise DataError(
            f"{found.where} and {train.where} must have the same columns; only one has"
            f" {strange[0]!r} ({len(strange)} such columns)"
        )
    return True


def _matched(examples: Examples, train: Examples, part: str, notes: list[str]) -> Examples:
    """Labels spelt as in training: a stray space or full stop at the end does not count."""
    known, labels = train.targets, examples.targets
    if known is None or labels is None or known.dtype.kind != "O":
        return examples
    words = set(known.tolist())
    spelt = [_spelt(str(label), words) for label in labels.tolist()]
    changed = sum(new != old for new, old in zip(spelt, labels.tolist(), strict=True))
    if changed:
        notes.append(
            f"{changed} labels of the {part} part end in a full stop or a space, unlike those of"
            " the training part; they count as the same"
        )
    return replace(examples, targets=np.array([*spelt, None], dtype=object)[:-1])


def _spelt(label: str, words: set[Any]) -> str:
    if label in words:
        return label
    bare = label.strip().removesuffix(".").strip()
    return bare if bare in words else label
