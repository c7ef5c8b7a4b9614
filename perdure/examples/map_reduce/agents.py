"""The agent of this example, and the pattern for your own: a function with a name and types."""

from dataclasses import dataclass

from perdure import agent


@dataclass
class Row:
    """One row of the data."""

    param1: str


@dataclass
class Counts:
    """What is counted in a row."""

    words: int
    letters: int


@agent("processDataAgent")
def process_data(inputs: Row) -> Counts:
    """Counts the words and the letters of a string."""
    words = inputs.param1.split()
    return Counts(words=len(words), letters=sum(map(len, words)))
