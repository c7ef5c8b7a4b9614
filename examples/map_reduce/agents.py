"""The agent of this example, and the pattern for your own: a function with a name."""

from typing import TypedDict

from perdure import agent


class Row(TypedDict):
    """One row of the data."""

    param1: str


class Counts(TypedDict):
    """What is counted in a row."""

    words: int
    letters: int


@agent("processDataAgent")
def process_data(inputs: Row) -> Counts:
    """Counts the words and the letters of a text."""
    words = inputs["param1"].split()
    return {"words": len(words), "letters": sum(map(len, words))}
