"""Optional packages: imported when first needed, and named with their extra when missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from paceline.core.errors import MissingExtra


def need(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Imports ``module`` or says which extra brings it.

    Args:
        module: Dotted name of the module.
        extra: The extra of Paceline that installs it.
        purpose: What it is needed for, as in "reading a CSV".

    Raises:
        MissingExtra: The module is not installed.

    >>> need("math", extra="none", purpose="counting").sqrt(4.0)
    2.0
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or module).partition(".")[0]
        raise MissingExtra(
            f'{purpose} needs the package {package}: pip install "paceline[{extra}]"'
        ) from None
