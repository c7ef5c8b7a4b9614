"""Secrets of a policy: what is read of right rules, what is refused, and which URLs a rule covers."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.policy.grant import NOTHING
from perdure.policy.parse import policy_of
from perdure.policy.secret_rules import SecretRule

CRM = {"from": "env:CRM_TOKEN", "to": ["https://crm.example.com/api/"]}


def policy(**keys: Any) -> Any:
    return policy_of({"policy": 1, **keys})


def test_secrets_may_be_all_that_a_policy_says() -> None:
    read, problems = policy(secrets={"crm": {**CRM, "as": "Token {}", "agents": ["fetchAgent"]}})
    assert problems == []
    assert (read.profile, read.grant) == ("", None)
    assert read.secrets == {
        "crm": SecretRule(
            source="env:CRM_TOKEN",
            to=("https://crm.example.com/api/",),
            agents=frozenset(["fetchAgent"]),
            form="Token {}",
        )
    }


def test_a_profile_grants_no_secret_that_it_does_not_name() -> None:
    read, _ = policy(profile="a", profiles={"a": {}, "b": {"secrets": ["crm"]}}, secrets={"crm": CRM})
    assert read.grant == NOTHING
    assert [read.profiles[name].allows("secrets", "crm") for name in "ab"] == [False, True]


WRONG: list[tuple[Any, list[str]]] = [
    ([], ["secrets"]),
    ({"crm": "env:X"}, ["secrets.crm", "secrets.crm.from", "secrets.crm.to"]),
    ({"crm": {}}, ["secrets.crm.from", "secrets.crm.to"]),
    ({"c r": CRM}, ["secrets.c r"]),
    ({"crm": {**CRM, "form": "env:X"}}, ["secrets.crm.form"]),
    *(({"crm": {**CRM, "as": form}}, ["secrets.crm.as"]) for form in ("Bearer", "{} {}", 5, "{}\r\n")),
    *(
        ({"crm": {**CRM, "from": source}}, ["secrets.crm.from"])
        for source in ("sk-1234567890", "env:", "env:A B", "file:relative", "vault:x", 7)
    ),
    *(
        ({"crm": {**CRM, "to": [url]}}, ["secrets.crm.to.0"])
        for url in (
            *(
                "https://a.example.com",
                "ftp://a.example.com/",
                "https://u:p@a.example.com/",
                "a.example.com/",
            ),
            *(
                "https://a.example.com/x",
                "https://a.example.com/?q/",
                "https://a.example.com/../",
                "https:///",
            ),
            *("https://*.example.com/", "https://a.example.com/%2e%2e/", "HTTPS://A.example.com/", 3),
        )
    ),
]


@pytest.mark.parametrize(("secrets", "places"), WRONG, ids=lambda item: str(item)[:60])
def test_mistakes_are_reported_and_no_value_is_quoted(secrets: Any, places: list[str]) -> None:
    read, problems = policy(secrets=secrets, profile="a", profiles={"a": {}})
    assert read is None
    assert [problem.place for problem in problems] == places
    assert "sk-1234567890" not in str(problems)


def test_a_policy_of_nothing_is_a_mistake() -> None:
    assert [problem.place for problem in policy()[1]] == ["profile"]


COVERED = {
    ("https", "crm.example.com", 443, "/api/"): True,
    ("https", "crm.example.com", 443, "/api"): True,
    ("https", "crm.example.com", 443, "/api/v1/people"): True,
    ("http", "crm.example.com", 80, "/api/"): False,
    ("https", "crm.example.com", 8443, "/api/"): False,
    ("https", "example.com", 443, "/api/"): False,
    ("https", "crm.example.com.evil.example", 443, "/api/"): False,
    ("https", "crm.example.com", 443, "/"): False,
    ("https", "crm.example.com", 443, "/apis/"): False,
    ("https", "crm.example.com", 443, "/admin/api/"): False,
    ("https", "crm.example.com", 443, "/api/../admin"): False,
    ("https", "crm.example.com", 443, "/api/%2e%2e/admin"): False,
    ("https", "crm.example.com", 443, "/api/..%2Fadmin"): False,
    ("https", "crm.example.com", 443, "/api/..\\admin"): False,
    ("https", "crm.example.com", 443, "/api//admin"): False,
}


@pytest.mark.parametrize("url", COVERED, ids=str)
def test_a_rule_covers_its_urls_and_no_way_out(url: tuple[str, str, int, str]) -> None:
    rule = SecretRule(source="env:X", to=("https://crm.example.com/api/",))
    assert rule.goes_to(*url) is COVERED[url]


def test_a_port_belongs_to_the_place() -> None:
    rule = SecretRule(source="env:X", to=("http://127.0.0.1:8080/",))
    assert rule.goes_to("http", "127.0.0.1", 8080, "/a/../b")
    assert not rule.goes_to("http", "127.0.0.1", 80, "/")
