"""What the environment says, and what it may not say."""

from pathlib import Path

import pytest

from perdure.errors import UsageError
from perdure.settings import Settings

READ = [
    ({}, (None, 65_536, 7.0)),
    ({"PERDURE_STORE": "s3://b/p", "PERDURE_STORE_ABOVE": "1024"}, ("s3://b/p", 1024, 7.0)),
    (
        {"PERDURE_STORE": "", "PERDURE_STORE_ABOVE": "1500000", "PERDURE_STORE_RETENTION": "0.5"},
        (None, 1_500_000, 0.5),
    ),
]


@pytest.mark.parametrize(("environ", "expected"), READ)
def test_the_store(environ: dict[str, str], expected: tuple[str | None, int, float]) -> None:
    settings = Settings.from_env(environ)
    assert (settings.store, settings.store_above, settings.store_retention) == expected


def test_how_long_a_call_may_take() -> None:
    assert Settings.from_env({}).call_limit == 24 * 60 * 60
    assert Settings.from_env({"PERDURE_CALL_LIMIT": "90.5"}).call_limit == 90.5


REFUSED = [
    ("PERDURE_CALL_LIMIT", "0"),
    ("PERDURE_CALL_LIMIT", "a day"),
    ("PERDURE_STORE_ABOVE", "1023"),
    ("PERDURE_STORE_ABOVE", "1500001"),
    ("PERDURE_STORE_ABOVE", "64k"),
    ("PERDURE_STORE_ABOVE", "-5000"),
    ("PERDURE_STORE_RETENTION", "0"),
    ("PERDURE_STORE_RETENTION", "nan"),
    ("PERDURE_STORE_RETENTION", "inf"),
    ("PERDURE_STORE_RETENTION", "a week"),
]


@pytest.mark.parametrize(("name", "text"), REFUSED)
def test_what_is_refused(name: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"{name}: {text!r} is not ") as caught:
        Settings.from_env({name: text})
    assert caught.value.variable == name
    assert caught.value.hint.startswith("set it to ")


BUILDS = [
    ({}, ("", "")),
    ({"TEMPORAL_DEPLOYMENT_NAME": "ns/w", "TEMPORAL_WORKER_BUILD_ID": "1"}, ("ns/w", "1")),
    (
        {
            "TEMPORAL_DEPLOYMENT_NAME": "ns/w",
            "TEMPORAL_WORKER_BUILD_ID": "1",
            "PERDURE_DEPLOYMENT": "graphs",
            "PERDURE_BUILD_ID": "v2",
        },
        ("graphs", "v2"),
    ),
]


@pytest.mark.parametrize(("environ", "expected"), BUILDS)
def test_the_build_of_a_worker_is_its_own_or_that_of_the_worker_controller(
    environ: dict[str, str], expected: tuple[str, str]
) -> None:
    settings = Settings.from_env(environ)
    assert (settings.deployment, settings.build_id) == expected


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"TEMPORAL_DEPLOYMENT_NAME": "a.b", "TEMPORAL_WORKER_BUILD_ID": "1"}, "TEMPORAL_DEPLOYMENT_NAME"),
        ({"TEMPORAL_WORKER_BUILD_ID": "1"}, "TEMPORAL_WORKER_BUILD_ID"),
        ({"TEMPORAL_WORKER_BUILD_ID": "1", "PERDURE_DEPLOYMENT": "graphs"}, "PERDURE_DEPLOYMENT"),
    ],
)
def test_a_build_that_is_refused_names_the_variable_that_set_it(
    environ: dict[str, str], variable: str
) -> None:
    with pytest.raises(UsageError, match=variable) as caught:
        Settings.from_env(environ)
    assert caught.value.variable == variable


def test_where_large_values_go() -> None:
    home = Path("/home")
    assert Settings(home=home).store_url(embedded=True) == "/home/store"
    assert Settings(home=home).store_url(embedded=False) is None
    for embedded in (True, False):
        assert Settings(home=home, store="s3://b/p").store_url(embedded=embedded) == "s3://b/p"


def test_channels() -> None:
    text = "default=https://hooks.example.org/x?a=b leads=mailto:a@example.org,b@example.org"
    secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZg=="
    env = {"PERDURE_NOTIFY": text, "PERDURE_NOTIFY_SECRET": secret, "PERDURE_UI_URL": "https://a.org/x/"}
    settings = Settings.from_env(env)
    assert settings.notify == {
        "default": "https://hooks.example.org/x?a=b",
        "leads": "mailto:a@example.org,b@example.org",
    }
    assert (settings.notify_secret, settings.ui_url) == (secret, "https://a.org/x")
    assert "hooks.example.org" not in repr(settings)
    assert secret not in repr(settings)


CHANNELS = [
    ("PERDURE_NOTIFY", "https://hooks.example.org/secret"),
    ("PERDURE_NOTIFY", "a=ftp://secret.example.org"),
    ("PERDURE_NOTIFY", "a=mailto:secret"),
    ("PERDURE_NOTIFY", "a/b=https://secret.example.org"),
    ("PERDURE_NOTIFY_SECRET", "secret"),
    ("PERDURE_NOTIFY_SECRET", "whsec_secret"),
    ("PERDURE_NOTIFY_SECRET", "whsec_MDEyMzQ1Njc4OWFiY2Rl"),
    ("PERDURE_SMTP", "http://user:secret@example.org"),
    ("PERDURE_SMTP", "smtp://user:secret@"),
]


@pytest.mark.parametrize(("name", "text"), CHANNELS)
def test_channels_that_are_refused(name: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"^{name}: ") as caught:
        Settings.from_env({name: text})
    assert caught.value.variable == name
    assert "secret" not in str(caught.value).replace("a secret is", "")


def test_the_page_has_an_address() -> None:
    with pytest.raises(UsageError, match="PERDURE_UI_URL: 'runs' is not an address with http or https"):
        Settings.from_env({"PERDURE_UI_URL": "runs"})
