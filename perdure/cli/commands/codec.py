"""The keys with which payloads are signed or encrypted, and a server that makes payloads readable.

keys lists the ids of the keys; the first one writes, all are read. --add makes a new key, which is only read;
--use ID makes it the one that writes. To change keys: --add, bring the file to all clients and workers, then
--use ID, and bring it again. Keep old keys as long as there are runs that they have written.

server decodes payloads for the Temporal UI and its command line (a codec server), on the loopback address
unless --host says otherwise. It asks for the token in the file that it names, and answers pages of each
--origin only. It encodes nothing: runs are started by clients of Perdure.

The file of keys is the one that PERDURE_CODEC_KEYS names, by default payload.keys in PERDURE_HOME.

Exit codes: 0 done, 2 the keys cannot be read.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from perdure.cli import connection, output
from perdure.cli.running import web_server
from perdure.daemon.secret_files import secret_in
from perdure.errors import UsageError
from perdure.settings import Settings
from perdure.settings.key_ring import KeyRing, made_file, ring_of, write_ring

CODEC_PORT_ID: Final = 8322
"""The port of the codec server, if no other is asked for."""

CODEC_TOKEN_FILE: Final = "codec.token"

EXAMPLES = """\
examples:
  perdure codec keys                        which keys there are
  perdure codec keys --add                  one more, which is only read
  perdure codec keys --use k20261128-6f1c2a      this one writes from now on
  perdure codec server --origin http://127.0.0.1:8233
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("what", choices=("keys", "server"), help="what to look at, or to serve")
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--add", action="store_true", help="make a new key, which is only read")
    change.add_argument("--use", metavar="ID", help="write with this key")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "--origin",
        action="append",
        metavar="URL",
        help="server: a page that may ask, such as the Temporal UI",
    )
    parser.add_argument("--host", default="127.0.0.1", help="server: the address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=CODEC_PORT_ID, help="server: the port (%(default)s)")
    parser.add_argument("--expose", action="store_true", help="server: other machines may reach --host")


def main(args: argparse.Namespace) -> int:
    """Serves, or changes the keys if that is asked for, and lists them."""
    settings = Settings.from_env()
    if args.what == "server":
        return _serve(args, settings)
    ring = ring_of(settings.codec_keys, settings.home)
    if args.add or args.use:
        ring = ring.with_new_key(datetime.now(UTC)) if args.add else ring.writing_with(args.use)
        write_ring(_file(settings), ring)
    output.result(output.json_text(_facts(ring)) if args.json else "\n".join(_lines(ring)))
    return 0


def _serve(args: argparse.Namespace, settings: Settings) -> int:
    from perdure.transport import codec_for, configured  # noqa: PLC0415 -- loads the SDK

    host = web_server.checked_host(args.host, exposed=args.expose)
    codec = codec_for(settings, configured().get("target_host"))
    if codec is None:
        hint = "set PERDURE_CODEC to what the workers have"
        raise UsageError("payloads are neither signed nor encrypted: there is nothing to decode", hint=hint)
    file = settings.home / CODEC_TOKEN_FILE
    token = secret_in(file)

    def ready(url: str) -> None:
        shown = f'temporal workflow show --codec-endpoint {url} --codec-auth "Bearer $(cat {file})"'
        output.result(f"codec  {url}\n{shown} ...\nCtrl-C stops")

    serving = web_server.serve_codec(codec, token, args.origin or (), host=host, port=args.port, ready=ready)
    return connection.run(serving)


def _file(settings: Settings) -> Path:
    kind, _, place = settings.codec_keys.partition(":")
    if kind == "env":
        hint = "change it where the variable is set"
        raise UsageError("keys in a variable cannot be changed here", hint=hint)
    return Path(place) if kind else made_file(settings.home)


def _facts(ring: KeyRing) -> dict[str, object]:
    since = datetime.fromtimestamp(ring.since / 1000, UTC).isoformat(timespec="seconds")
    return {"writes": ring.current, "reads": list(ring.keys), "since": since}


def _lines(ring: KeyRing) -> list[str]:
    return [f"{id}  {'writes' if id == ring.current else 'is read'}" for id in ring.keys]
