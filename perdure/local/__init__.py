"""Small models on this machine, for graphs that name no key: a chat model and one for embeddings.

They stand behind one loopback port that speaks OpenAI's API, in a background process that starts
when it is needed and ends when it is not. Needs the extra ``perdure[local]``.
"""

from perdure.local.fetch import Progress
from perdure.local.start import ensure, installed, stop

__all__ = ["Progress", "ensure", "installed", "stop"]
