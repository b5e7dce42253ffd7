"""paceline recommend: what a user is likely to like."""

from __future__ import annotations

import sys
from dataclasses import asdict

from paceline.cli._out import AsJson, plain_table, put, put_json


def recommend(
    run: str,
    user: str,
    /,
    *,
    count: int = 10,
    weights: str = "best",
    device: str = "auto",
    as_json: AsJson = False,
) -> int:
    """Recommend items to USER, with a RUN that was trained on ratings.

    Items that the user rated already come last. A user who was never seen gets what all
    users like.

    Examples:

        paceline recommend ratings-1 42

        paceline recommend ratings-1 42 --count 20 --json

    Parameters
    ----------
    run
        A run's directory, or its name in paceline-runs.
    user
        As it stands in the data.
    count
        How many items.
    weights
        best (by validation) or last.
    device
        auto, cpu, cuda or mps.
    as_json
        One JSON object on the last line of stdout.
    """
    from paceline.jobs.recommend import recommend as ask
    from paceline.jobs.run import load
    from paceline.report.summary import find_run

    found, note = ask(load(find_run(run), weights=weights, device=device), user, count=count)
    if as_json:
        put_json({"user": user, "items": [asdict(each) for each in found], "note": note})
        return 0
    if note:
        sys.stderr.write(f"note: {note}\n")
    table = plain_table("item", "expected rating", "", right=("expected rating",))
    for each in found:
        named = f"{each.item}  {each.title}".strip()
        table.add_row(named, f"{each.rating:.2f}", "rated before" if each.seen else "")
    put(table)
    return 0
