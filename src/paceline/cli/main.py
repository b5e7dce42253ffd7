"""The command ``paceline``: which commands there are, and what becomes of a mistake."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError, Parameter, UnknownCommandError

from paceline import __version__
from paceline.core.errors import EXIT_CODE, PacelineError, nearest

INTERRUPTED = 130
BROKEN_PIPE = 141
_NEEDED = frozenset({"torch", "numpy", "safetensors"})

COMMANDS = {
    "fit": "Train a model on DATA, measure it, save and explain it.",
    "learn": "Go on from a trained run with more data, or with a stream.",
    "predict": "Predict with a trained run.",
    "sample": "Write text with a run that was trained on text.",
    "recommend": "Recommend items to a user, with a run that was trained on ratings.",
    "compare": "Compare optimizers and controllers on DATA, with seeds, at equal budgets.",
    "agents": "Show the agents of a training that runs, let some join or leave.",
    "policy": "Train a learned controller or scheduling policy.",
    "simulate": "Try scheduling policies on agents in simulated time.",
    "runs": "List runs and what they reached.",
    "why": "Tell why a run did what it did.",
    "report": "Write a run's page again and say where it lies.",
    "parts": "List what recipes can choose from.",
    "check": "Check a run's files, or a part's promises.",
    "doctor": "Look for what is wrong with this installation.",
}
_EPILOGUE = """\
Examples:
    paceline fit digits
    paceline fit houses.csv --target price --time 10m
    paceline why digits-1

"paceline COMMAND --help" tells more about each.
"""


def build(called: str = "") -> App:
    """The command line; a command's file is imported when the command is called.

    Args:
        called: The command whose own docstring is its help; the others' is one line, so
            that listing them imports none.
    """
    app = App(
        name="paceline",
        help="Train PyTorch models with agents that set their own pace.",
        help_epilogue=_EPILOGUE,
        help_format="plaintext",
        version=__version__,
        default_parameter=Parameter(show_default=_worth_showing),
        suppress_keyboard_interrupt=False,
        exit_on_error=False,
        print_error=False,
        result_action="return_value",
    )
    for name, line in COMMANDS.items():
        module = f"paceline.cli.{name}:{name}"
        app.command(module, name=name, help=None if name == called else line, help_epilogue="")
    app.register_install_completion_command(help="Complete commands and options in your shell.")
    return app


def _worth_showing(default: Any) -> str | None:
    return None if default is None or default is False or default == () else str(default)


def main(tokens: Sequence[str] | None = None) -> None:
    """Runs a command and leaves with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:] if tokens is None else tokens))


def run(tokens: Sequence[str]) -> int:
    """Runs a command and gives its exit code.

    2 for a mistake that a person can mend, told in one line; 130 after Ctrl-C. A bug is
    not caught here: it keeps its traceback.
    """
    try:
        result = build(tokens[0] if tokens else "")(list(tokens))
        sys.stdout.flush()
    except UnknownCommandError:
        return _refuse(f"there is no command {tokens[0]!r}{nearest(tokens[0], COMMANDS)}")
    except (PacelineError, CycloptsError) as error:
        return _refuse(str(error))
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED:
            raise
        return _refuse(f"the package {error.name} is missing; `paceline doctor` says what to do")
    except KeyboardInterrupt:
        return _refuse("interrupted", INTERRUPTED)
    except BrokenPipeError:
        _forget_stdout()
        return BROKEN_PIPE
    return result if isinstance(result, int) else 0


def _refuse(message: str, code: int = EXIT_CODE) -> int:
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
    return code


def _forget_stdout() -> None:
    """Keeps the interpreter from flushing into the broken pipe once more at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
