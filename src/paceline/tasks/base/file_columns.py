"""Tables whose cells name files: sounds or pictures that lie beside the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from paceline.core.errors import DataError, nearest
from paceline.data.base import Corpus, Examples

_LOOKED_AT = 50
_LABELS = ("label", "class", "target", "category", "y")


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """A table whose one column names files.

    Attributes:
        corpus: The table, with targets.
        column: The name of the column.
        folder: What the names start from, where they are no whole paths.
        unused: Columns that are neither names nor targets.
    """

    corpus: Corpus
    column: str
    folder: str
    unused: tuple[str, ...]

    @property
    def reason(self) -> str:
        """For the ledger."""
        return f"the column {self.column} names files that are there"

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know."""
        notes = self.corpus.notes
        if not self.unused:
            return notes
        return (*notes, f"columns that are not used: {', '.join(map(str, self.unused))}")


def named_files(corpus: Corpus, hint: Any, wanted: Callable[[Path], bool]) -> Named | None:
    """The column of a table that names files; None where there is none.

    Without a target, a column called ``label`` (or class, target, category, y) is taken,
    or the only other column.

    Args:
        corpus: Of any kind.
        hint: The column's name, where a person said it.
        wanted: Whether a name is of the kind that is looked for.

    Raises:
        DataError: There is no column as ``hint`` says.
    """
    frame = corpus.train.inputs
    if corpus.kind != "table" or not hasattr(frame, "columns"):
        return None
    columns = [str(name) for name in frame.columns]
    if hint is not None and hint not in columns:
        raise DataError(f"the table has no column {hint!r}{nearest(str(hint), columns)}")
    folder = str(corpus.facts.get("folder", ""))
    column = hint or next(
        (name for name in columns if _names_files(frame[name], folder, wanted)), None
    )
    if column is None:
        return None
    corpus = _with_targets(corpus, str(column))
    unused = [name for name in corpus.train.inputs.columns if name != column]
    return Named(corpus=corpus, column=str(column), folder=folder, unused=tuple(unused))


def files_of(frame: Any, column: str, folder: str) -> list[Path]:
    """The files that the cells of a column name.

    Names start from the table's own folder (``frame.attrs["folder"]``), else from
    ``folder``, else from where the program runs.

    Raises:
        DataError: There is no such column, a cell is empty, or a file is not there.
    """
    if not hasattr(frame, "columns") or column not in frame.columns:
        known = [str(name) for name in getattr(frame, "columns", ())]
        raise DataError(f"the table has no column {column!r}{nearest(column, known)}")
    homes = [Path(home) for home in (frame.attrs.get("folder"), folder, ".") if home]
    files = []
    for row, cell in enumerate(frame[column].tolist(), 1):
        if not isinstance(cell, str) or not cell.strip():
            raise DataError(f"row {row} of the column {column} names no file: {cell!r}")
        files.append(_found(cell, homes, f"row {row} of the column {column}"))
    return files


def converted(named: Named, kind: str, read: Callable[[list[Path], str], Any]) -> Corpus:
    """The corpus with what the files hold in the place of their names.

    Args:
        named: As ``named_files`` gave it.
        kind: Of what comes out.
        read: Gives the inputs of some files; told which part they are.
    """
    corpus, made = named.corpus, dict[str, Any]()
    for part in ("train", "validation", "test"):
        examples = getattr(corpus, part)
        if examples is not None:
            files = files_of(examples.inputs, named.column, named.folder)
            made[part] = Examples(inputs=read(files, part), targets=examples.targets)
    return replace(corpus, kind=kind, facts=corpus.facts | {"column": named.column}, **made)


def _names_files(cells: Any, folder: str, wanted: Callable[[Path], bool]) -> bool:
    """Whether all of some cells are names of the kind, and the first of them a file."""
    rows = np.linspace(0, len(cells) - 1, min(len(cells), _LOOKED_AT)).astype(int)
    some = [cells.iloc[row] for row in rows.tolist()]
    if not all(isinstance(cell, str) and wanted(Path(cell)) for cell in some):
        return False
    return (Path(folder) / some[0]).is_file() or Path(some[0]).is_file()


def _found(cell: str, homes: list[Path], where: str) -> Path:
    for home in homes:
        if (home / cell).is_file():
            return home / cell
    raise DataError(f"{where} names {cell!r}, which is not in {homes[0]}")


def _with_targets(corpus: Corpus, column: str) -> Corpus:
    if corpus.train.targets is not None:
        return corpus
    others = [name for name in corpus.train.inputs.columns if name != column]
    named = [name for name in others if str(name).lower() in _LABELS]
    target = named[0] if named else others[0] if len(others) == 1 else None
    if target is None:
        return corpus
    made: dict[str, Any] = {
        part: _labelled(getattr(corpus, part), target)
        for part in ("train", "validation", "test")
        if getattr(corpus, part) is not None
    }
    return replace(corpus, facts=corpus.facts | {"target": target}, **made)


def _labelled(examples: Examples, target: str) -> Examples:
    column = examples.inputs[target]
    if examples.targets is not None:
        return examples
    if column.isna().any():
        row = int(np.flatnonzero(column.isna().to_numpy())[0]) + 1
        raise DataError(f"row {row} has no {target}; fill it in, or take the row out")
    plain = column.dtype.kind in "if"
    labels = (
        column.to_numpy()
        if plain
        else np.array([*map(str, column.tolist()), None], dtype=object)[:-1]
    )
    return Examples(inputs=examples.inputs.drop(columns=target), targets=labels)
