"""The agents of this example, and the data that their worker offers by name."""

from digits_data import held_out, of_site

from perdure.agents.distributed.agents import fed_average, fed_evaluate, fed_init, fed_train
from perdure.agents.distributed.plugins import dataset

__all__ = ["fed_average", "fed_evaluate", "fed_init", "fed_train"]


@dataset("digits")
def digits(site, context):
    """What one site has. On a host of its own, this reads the host's file."""
    return of_site(site)


@dataset("heldOut")
def judged(site, context):
    """What no site trained on."""
    return held_out()
