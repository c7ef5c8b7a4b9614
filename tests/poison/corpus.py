"""All cases by name, and those that CI plays."""

from __future__ import annotations

from tests.poison import graphs, starts, web

CORPUS = {case.name: case for case in (*graphs.cases(), *web.cases(), *starts.cases())}
