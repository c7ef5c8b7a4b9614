"""The keys with which payloads are signed or encrypted, and a server that makes payloads readable.

keys lists the ids of the keys; the first one writes, all are read. --add makes a new key, which is only read;
--use ID makes it the one that writes. To change keys: --add, bring the file to all clients and workers, then
--use ID, and bring it again. Keep old keys as long as there are runs that they have written;
--remove ID takes one away.

--start NAME makes a start key for a principal: a person or a service that may start and answer runs, and
cannot make calls or results. --export NAME --to FILE writes the file for its clients. Workers keep all keys.

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
from perdure.settings.key_ring import KeyRing, changing, made_file, ring_of, write_ring

CODEC_PORT_ID: Final = 8322
"""The port of the codec server, if no other is asked for."""

CODEC_TOKEN_FILE: Final = "codec.token"

EXAMPLES = """\
examples:
  perdure codec keys                        which keys there are
  perdure codec keys --add                  one more, which is only read
  perdure codec keys --use k20261128-6f1c2a      this one writes from now on
  perdure codec keys --start alice               a key with which alice starts runs
  perdure codec keys --export alice --to alice.keys
  perdure codec server --origin http://127.0.0.1:8233
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("what", choices=("keys", "server"), help="what to look at, or to serve")
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--add", action="store_true", help="make a new key, which is only read")
    change.add_argument("--use", metavar="ID", help="write with this key")
    change.add_argument("--remove", metavar="ID", help="take this key away")
    change.add_argument("--start", metavar="NAME", help="make a start key for this principal")
    change.add_argument("--export", metavar="NAME", help="write the newest start key of this principal")
    parser.add_argument("--to", type=Path, metavar="FILE", help="export: the new file, for its owner only")
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
    if args.export or args.to:
        return _export(args, ring)
    if args.add or args.start or args.use or args.remove:
        file = _file(settings)
        with changing(file):
            ring = _changed(args, ring_of(settings.codec_keys, settings.home))
            write_ring(file, ring)
    output.result(output.json_text(_facts(ring)) if args.json else "\n".join(_lines(ring)))
    return 0


def _changed(args: argparse.Namespace, ring: KeyRing) -> KeyRing:
    now = datetime.now(UTC)
    if args.add:
        return ring.with_new_key(now)
    if args.start:
        return ring.with_start_key(args.start, now)
    if args.use:
        return ring.writing_with(args.use)
    return ring.without(args.remove) if args.remove else ring


def _export(args: argparse.Namespace, ring: KeyRing) -> int:
    if not (args.export and args.to):
        raise UsageError("--export NAME and --to FILE belong together")
    try:
        write_ring(args.to, ring.of_principal(args.export), is_new=True)
    except OSError as error:
        finding = f"{args.to} cannot be written: {error.strerror or error}"
        raise UsageError(finding, hint="name a file that is not there yet") from error
    output.result(f"{args.to}: for clients of {args.export}, as PERDURE_CODEC_KEYS=file:{args.to.absolute()}")
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
    starts = {id: start.principal for id, start in ring.starts.items()}
    facts: dict[str, object] = {"writes": ring.current, "reads": list(ring.keys), "since": since}
    return {**facts, "starts": starts} if starts else facts


def _lines(ring: KeyRing) -> list[str]:
    lines = [f"{id}  {'writes' if id == ring.current else 'is read'}" for id in ring.keys]
    return lines + [f"{id}  starts runs of {start.principal}" for id, start in ring.starts.items()]
