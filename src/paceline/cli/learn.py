"""paceline learn: go on from a trained run with data that came later, or that keep coming."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from paceline.cli._out import AsJson, put_json
from paceline.core.errors import SettingError
from paceline.report.console import Console, result_table

Many = Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=False)]


def learn(
    run: str,
    data: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    steps: int | None = None,
    replay: int = 2000,
    ewc: float = 1.0,
    seed: int = 0,
    chunk: int = 64,
    alert: Many = (),
    webhook: str = "",
    device: str = "auto",
    as_json: AsJson = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")] = False,
) -> int:
    """Go on from RUN with more DATA; RUN is left as it is, RUN-learn-1 is written beside it.

    DATA is of the kind that RUN was trained on, with its targets; - reads JSON lines from
    stdin, an object a line with a table's columns, or with inputs and target. Of a stream
    each chunk is tested on before it is learnt from. An alert is a line, and exit code 3 at
    the end.

    Examples:

        paceline learn houses-1 new-houses.csv

        tail -f reviews.jsonl | paceline learn reviews-1 - --alert "share:negative>0.3"

    Parameters
    ----------
    run
        A run's directory, or its name in paceline-runs.
    data
        What to learn from, or -.
    out
        The new run's directory. [default: RUN-learn-1]
    steps
        Updates. [default: a fifth of what training on DATA alone takes]
    replay
        Old examples to keep and to mix in, at most; 0 for none.
    ewc
        How hard old weights are held on to; 0 for not at all.
    seed
        Of divisions and order.
    chunk
        Examples of a stream that are tested on and learnt from together.
    alert
        drift, "error>0.2", "loss>1.5" or "share:LABEL>0.3"; may be repeated.
    webhook
        Where alerts of a stream are posted to, as JSON: https, or of this machine.
    device
        auto, cpu, cuda or mps.
    as_json
        One JSON object on the last line of stdout.
    quiet
        Say nothing but errors.
    """
    from paceline.jobs.continual.alerts import FIRED
    from paceline.jobs.run import load
    from paceline.report.summary import find_run

    if data != "-" and (alert or webhook):
        raise SettingError("--alert and --webhook are for a stream: give - as DATA")
    old = load(find_run(run), device=device)
    fired: list[str] = []
    with Console(quiet=quiet) as console:
        if data == "-":
            new, fired = _stream(old, console, chunk, alert, webhook, out, (replay, ewc, seed))
        else:
            new = old.learn(
                data, out=out, steps=steps, replay=replay, ewc=ewc, seed=seed, progress=console
            )
    if not quiet and new is not None:
        console.show(result_table(new.facts, new.path))
    if as_json:
        put_json(_object(new, fired))
    return FIRED if fired else 0


def _stream(
    old: Any,
    console: Console,
    chunk: int,
    alerts: tuple[str, ...],
    webhook: str,
    out: Path | None,
    wish: tuple[int, float, int],
) -> tuple[Any, list[str]]:
    from paceline.jobs.continual.known import Wish
    from paceline.jobs.continual.stream import Stream

    replay, ewc, seed = wish
    stream = Stream(
        old,
        chunk=chunk,
        alerts=alerts,
        webhook=webhook,
        out=out,
        wish=Wish(replay=replay, ewc=ewc, seed=seed),
        progress=console,
    )
    return stream.run(sys.stdin), stream.fired


def _object(run: Any, fired: list[str]) -> dict[str, Any]:
    if run is None:
        return {"run": None, "alerts": fired}
    result = run.facts["result"]
    return {
        "run": str(run.path),
        "test": run.test,
        "before": result.get("before", {}),
        "after": result.get("after", {}),
        "steps": result["steps"],
        "seconds": result["seconds"],
        "moved": run.facts["data"].get("moved", []),
        "alerts": fired,
    }
