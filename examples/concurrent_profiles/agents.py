"""Stand-ins for two services that take a moment to answer, and what puts their answers together."""

import asyncio
from typing import TypedDict

from perdure import agent

DELAY = 0.1
"""Seconds that each service takes. Six calls would take 0.6 s one after the other."""

_PROFILES = {"Alice": "Lisbon", "Bob": "Oslo", "Charlie": "Quito"}
_POSTS = {"Alice": ["Trams", "Tiles"], "Bob": ["Fjords"], "Charlie": []}


class Who(TypedDict):
    """The user that a service is asked about."""

    userName: str


class Profile(TypedDict):
    """A user's profile."""

    name: str
    city: str


class Both(TypedDict):
    """The answers of both services."""

    profile: Profile
    posts: list[str]


class Combined(Profile):
    """A profile with the titles of the user's posts."""

    posts: list[str]


@agent("fetchUserProfile")
async def fetch_profile(inputs: Who) -> Profile:
    """Fetches a user's profile."""
    await asyncio.sleep(DELAY)
    name = inputs["userName"]
    return {"name": name, "city": _PROFILES[name]}


@agent("fetchUserPosts")
async def fetch_posts(inputs: Who) -> list[str]:
    """Fetches the titles of a user's posts."""
    await asyncio.sleep(DELAY)
    return _POSTS[inputs["userName"]]


@agent("combineData", pure=True)
def combine(inputs: Both) -> Combined:
    """Adds the posts to the profile."""
    return {**inputs["profile"], "posts": inputs["posts"]}
