"""A bucket that speaks as much of S3's protocol as a store needs; it checks no signatures."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from xml.sax.saxutils import escape

import pytest

from tests.support.servers import Answer, Seen, Server, serve

XML = {"Content-Type": "application/xml"}
PAGE = 3
"""Objects in one page of a list."""


@dataclass
class Bucket:
    """What is in the bucket `b`: the bytes and dates by key. `answers` come instead, while there are any.

    `before` is called with every request, before it is carried out.
    """

    objects: dict[str, tuple[bytes, float]] = field(default_factory=dict[str, tuple[bytes, float]])
    answers: list[Answer] = field(default_factory=list[Answer])
    before: Callable[[Seen], None] = lambda seen: None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def respond(self, seen: Seen) -> Answer:
        self.before(seen)
        with self.lock:
            if self.answers:
                return self.answers.pop(0)
            if seen.path == "/b" or seen.path == "/b/":
                return self._listed(seen.query) if seen.method == "GET" else self._removed(seen)
            if not seen.path.startswith("/b/"):
                return _refused(404, "NoSuchBucket")
            return self._object(seen, seen.path.removeprefix("/b/"))

    def age(self, key: str, seconds: float) -> None:
        data, _ = self.objects[key]
        self.objects[key] = (data, time.time() - seconds)

    def _object(self, seen: Seen, key: str) -> Answer:
        if seen.method == "PUT":
            self.objects[key] = (seen.body, time.time())
            return Answer(headers={"ETag": '"e"'})
        if seen.method == "DELETE":
            self.objects.pop(key, None)
            return Answer(status=204)
        if key not in self.objects:
            return _refused(404, "NoSuchKey")
        data, modified = self.objects[key]
        return Answer(headers={"ETag": '"e"', "Last-Modified": formatdate(modified, usegmt=True)}, body=data)

    def _listed(self, query: Mapping[str, str]) -> Answer:
        start = query.get("continuation-token", "")
        keys = sorted(key for key in self.objects if key.startswith(query.get("prefix", "")) and key > start)
        page = keys[:PAGE]
        more = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if len(keys) > PAGE else ""
        items = "".join(self._item(key) for key in page)
        body = (
            f"<ListBucketResult><IsTruncated>{str(bool(more)).lower()}</IsTruncated>{more}{items}"
            "</ListBucketResult>"
        )
        return Answer(headers=XML, body=body.encode())

    def _item(self, key: str) -> str:
        data, modified = self.objects[key]
        when = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(modified))
        return (
            f"<Contents><Key>{escape(key)}</Key><LastModified>{when}</LastModified>"
            f"<ETag>&quot;e&quot;</ETag><Size>{len(data)}</Size></Contents>"
        )

    def _removed(self, seen: Seen) -> Answer:
        keys = re.findall(r"<Key>([^<]+)</Key>", seen.body.decode())
        for key in keys:
            self.objects.pop(key, None)
        deleted = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        return Answer(headers=XML, body=f"<DeleteResult>{deleted}</DeleteResult>".encode())


def _refused(status: int, code: str) -> Answer:
    return Answer(status=status, headers=XML, body=f"<Error><Code>{code}</Code></Error>".encode())


@contextmanager
def bucket() -> Generator[tuple[Bucket, Server]]:
    """A bucket, and the environment that leads to it."""
    made = Bucket()
    with serve(made.respond) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_REGION", "us-east-1")
        yield made, server
