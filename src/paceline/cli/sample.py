"""paceline sample: text from a trained language model."""

from __future__ import annotations

import sys

from paceline.cli._out import AsJson, put_json


def sample(
    run: str,
    /,
    *,
    prompt: str = "",
    tokens: int = 300,
    temperature: float = 0.8,
    top_k: int | None = None,
    seed: int = 0,
    weights: str = "best",
    device: str = "auto",
    as_json: AsJson = False,
) -> int:
    """Write on after a prompt, with a RUN that was trained on text.

    Examples:

        paceline sample shakespeare-1 --prompt "ROMEO:"

        paceline sample shakespeare-1 --tokens 500 --temperature 0.5 --top-k 40 --seed 3

    Parameters
    ----------
    run
        A run's directory, or its name in paceline-runs.
    prompt
        What stands before. [default: the beginning of a line]
    tokens
        How many to draw.
    temperature
        Under 1 likely tokens become likelier; 0 takes the likeliest each time.
    top_k
        Draw among so many of the likeliest tokens alone.
    seed
        The same one draws the same text.
    weights
        best (by validation) or last.
    device
        auto, cpu, cuda or mps.
    as_json
        One JSON object on the last line of stdout.
    """
    from paceline.jobs.run import load
    from paceline.jobs.sample import sample as write
    from paceline.report.summary import find_run

    begun = [prompt]

    def tell(piece: str) -> None:
        if not as_json:
            sys.stdout.write((begun.pop() if begun else "") + piece)
            sys.stdout.flush()

    written = write(
        load(find_run(run), weights=weights, device=device),
        prompt,
        tokens=tokens,
        temperature=temperature,
        top_k=top_k,
        seed=seed,
        tell=tell,
    )
    tell("\n")
    if as_json:
        put_json({"prompt": prompt, "text": written, "seed": seed})
    return 0
