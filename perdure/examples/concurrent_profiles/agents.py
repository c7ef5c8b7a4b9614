"""Stand-ins for two services that take a moment to answer, and what puts their answers together."""

import asyncio
from dataclasses import dataclass

from perdure import agent

DELAY = 0.1
"""Seconds that each service takes. Six calls would take 0.6 s one after the other."""

_CITIES = {"Alice": "Lisbon", "Bob": "Oslo", "Charlie": "Quito"}
_POSTS = {"Alice": ["Trams", "Tiles"], "Bob": ["Fjords"], "Charlie": []}


@dataclass
class Who:
    """The user that a service is asked about."""

    userName: str


@dataclass
class Profile:
    """A user's profile."""

    name: str
    city: str


@dataclass
class Parts:
    """The answers of both services."""

    profile: Profile
    posts: list[str]


@dataclass
class Combined:
    """A profile with the titles of the user's posts."""

    name: str
    city: str
    posts: list[str]


@agent("fetchUserProfile")
async def fetch_profile(inputs: Who) -> Profile:
    """Fetches a user's profile."""
    await asyncio.sleep(DELAY)
    return Profile(inputs.userName, _CITIES[inputs.userName])


@agent("fetchUserPosts")
async def fetch_posts(inputs: Who) -> list[str]:
    """Fetches the titles of a user's posts."""
    await asyncio.sleep(DELAY)
    return _POSTS[inputs.userName]


@agent("combineData", pure=True)
def combine(inputs: Parts) -> Combined:
    """Adds the posts to the profile."""
    return Combined(inputs.profile.name, inputs.profile.city, inputs.posts)
