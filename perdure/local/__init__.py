"""Small models on this machine, for graphs that name no key: a chat model and one for embeddings.

They are served on one loopback port that speaks OpenAI's API, by a background process that starts
when it is needed and ends when it is idle. Needs the extra ``perdure[local]``.
"""

from perdure.local.fetch import Progress
from perdure.local.start import ensure, installed, stop

__all__ = ["Progress", "ensure", "installed", "stop"]
