"""Messages through a gateway that dies: `python -m tests.gateway` publishes 10,000 to ten runs, by MQTT.

Meanwhile the gateway, the worker and the server are killed with SIGKILL, by a seed, and started again. The
broker is ended with SIGTERM: mosquitto writes its messages at its end, and loses some if it is killed. It
prints how often each message is in the result of its run, and exits with 1 if that is not once for each. It
needs mosquitto and the extra perdure[edge].
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perdure.client import GraphClient
from tests.gateway import broker
from tests.support.durable import connected
from tests.support.processes import Parts

LIMIT_S = 900
ROUTES = """\
routes:
  - topic: plant/+
    event: telemetry
    key: ${level.1}
    id: ${body.n}
    run: watch-${key}
    graph: watch.yaml
    inputs: {component: "${key}"}
    queue: plant
"""
GRAPH = """\
loop: {while: :more.result}
nodes:
  component: {value: ""}
  numbers: {value: [], update: :log.array}
  more:
    agent: compareAgent
    inputs: {array: [":log.array.length()", "<", COUNT]}
  reading:
    agent: eventAgent
    inputs: {key: :component}
    params: {topic: telemetry, count: 500, within: 500ms}
  log:
    agent: arrayFlatAgent
    inputs: {array: [":numbers", ":some"]}
    isResult: true
  some:
    agent: mapAgent
    inputs: {rows: :reading.events}
    params: {compositeResultKey: n}
    graph: {nodes: {n: {agent: copyAgent, inputs: {n: :row.body.n}, params: {namedKey: n}, isResult: true}}}
"""


@dataclass
class Plant(Parts):
    """The broker, the gateway and the worker, by name."""

    port: int
    home: Path

    def start(self, name: str) -> None:
        routes = str(self.folder / "routes.yaml")
        words = {
            "gateway": ("gateway", "mqtt", f"127.0.0.1:{self.port}", "--routes", routes),
            "worker": ("worker", "--queue", "plant"),
        }
        if name == "broker":
            self.processes[name] = broker.started(self.folder, self.port)
        else:
            self.processes[name] = self.perdure(name, self.home, *words[name])

    def kill(self, name: str) -> None:
        if name == "server":
            self.kill_server_of(name, self.home)
        else:
            self.kill_part(name, signal.SIGTERM if name == "broker" else signal.SIGKILL)

    def close(self) -> None:
        self.end(self.home)


async def played(count: int, kills: int, source: random.Random) -> tuple[Counter[Any], Counter[str]]:
    """How often each message is in the results, and what was killed how often."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "routes.yaml").write_text(ROUTES)
        (folder / "watch.yaml").write_text(GRAPH.replace("COUNT", str(count // 10)))
        parts = Plant(folder, broker.free_port(), folder / "home")
        try:
            async with connected(parts.home) as client:
                for part in ("broker", "worker", "gateway"):
                    parts.start(part)
                await _subscribed(folder / "gateway.log")
                await _published(parts, count, kills, source)
                return await _numbers(client), parts.kills
        finally:
            parts.close()


async def _subscribed(log: Path) -> None:
    until = time.monotonic() + LIMIT_S
    while "topics plant/+" not in log.read_text():
        assert time.monotonic() < until, log.read_text()
        await asyncio.sleep(0.1)


async def _published(parts: Plant, count: int, kills: int, source: random.Random) -> None:
    rows = [(f"plant/press-{n % 10}", {"n": n}) for n in range(count)]
    portions = [rows[start : start + 250] for start in range(0, count, 250)]
    victims = {source.randrange(len(portions)): name for name in _victims(kills, source)}
    for number, portion in enumerate(portions):
        await broker.published(parts.port, portion)
        if number in victims:
            await asyncio.to_thread(parts.kill, victims[number])


def _victims(kills: int, source: random.Random) -> list[str]:
    return [source.choice(("gateway", "worker", "server", "broker")) for _ in range(kills)]


async def _numbers(client: GraphClient) -> Counter[Any]:
    numbers = Counter[Any]()
    async with asyncio.timeout(LIMIT_S):
        for number in range(10):
            result = await client.get(f"watch-press-{number}").result()
            numbers.update(result.results["log"]["array"])
    return numbers


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gateway")
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(arguments)
    began = time.monotonic()
    numbers, kills = asyncio.run(played(args.messages, args.kills, random.Random(args.seed)))
    missed = [n for n in range(args.messages) if not numbers[n]]
    double = [n for n, times in numbers.items() if times > 1]
    killed = ", ".join(f"{name} {times}" for name, times in sorted(kills.items()))
    print(
        f"{args.messages:,} messages, killed: {killed or 'nothing'}; {len(missed)} missed, "
        f"{len(double)} double; {time.monotonic() - began:.1f} s"
    )
    return 1 if missed or double else 0


if __name__ == "__main__":
    sys.exit(main())
