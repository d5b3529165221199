"""The process that chooses what to try next: one question a line on standard input, one answer a line on standard output.

It keeps the mathematics, and the libraries it needs, out of the server. An answer is a function of its question alone, so
nothing is lost when this process ends; it ends with the server that started it.

Question: `{"strategy", "arguments", "space", "trials", "prior", "transfer", "index"}`, as `tuning_job.Plan.question` makes it;
answer: `{"values": {...}}`, null where there is nothing left to try, or `{"error": text}`.
"""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any

from clary import tuning

_PARAMETERS = {"Continuous": tuning.Continuous, "Integer": tuning.Integer, "Categorical": tuning.Categorical}
_STRATEGIES = {
    "Bayesian": tuning.Bayesian,
    "Random": tuning.Random,
    "Grid": tuning.Grid,
    "Hyperband": tuning.Hyperband,
}


def main() -> None:
    """Answer until the questions end."""
    for line in sys.stdin:
        try:
            answer: dict[str, Any] = {"values": suggest(json.loads(line))}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


def suggest(question: dict[str, Any]) -> tuning.Values | None:
    """The values to try."""
    space = tuning.Space(tuple(_parameter(dict(one)) for one in question["space"]))
    strategy = _STRATEGIES[question["strategy"]](**question["arguments"])
    trials, prior = ([tuning.Trial(**one) for one in question[kind]] for kind in ("trials", "prior"))
    return strategy.suggest(space, trials, question["index"], prior=prior, transfer=question["transfer"])


def _parameter(document: dict[str, Any]) -> tuning.Parameter:
    kind = document.pop("kind")
    if kind == "Categorical":
        document["values"] = tuple(document["values"])
    return _PARAMETERS[kind](**document)


if __name__ == "__main__":
    main()
