"""One process of a gang: ``python -m perdure.agents.engines.rank FOLDER RANK``.

It ends when its standard input does: its worker has died, and nothing else would end it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from perdure.agents.distributed.extras import library
from perdure.agents.engines.gang_files import GangFiles
from perdure.agents.engines.member import GangMember, arrays_of, gang_function_of


def main(folder: str, rank: int) -> None:
    """Runs the function of the gang, once all processes are ready."""
    files = GangFiles(Path(folder))
    job = files.job()
    size, here = int(job["size"]), int(job["here"])
    names = {"RANK": rank, "LOCAL_RANK": rank % here, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": here}
    os.environ.update({name: str(value) for name, value in names.items()})
    os.environ.update(MASTER_ADDR=job["master"], MASTER_PORT=str(job["port"]))
    _load(job["module"], Path(job["file"]))
    function = gang_function_of(job["function"])
    torch = library("torch.distributed", "torch") if job["backend"] else None
    listening = socket.create_server((job["listen"], 0))
    files.write_address(rank, "127.0.0.1", listening.getsockname()[1])
    files.write_ready(rank)
    if sys.stdin.readline() != "go\n":
        os._exit(1)
    threading.Thread(target=_end_with_worker, daemon=True).start()
    step, resume = files.checkpoint()
    every, gather_s = int(job["checkpointEvery"]), float(job["gather"])
    member = GangMember(rank, size, files, resume, step, every, gather_s, listening=listening)
    if torch is not None:
        torch.init_process_group(job["backend"], init_method="env://")
    result = function(member, job["inputs"], job["params"])
    if rank == 0:
        files.write_result(arrays_of(result))
    member.close()
    if torch is not None:
        torch.destroy_process_group()


def _load(name: str, file: Path) -> Any:
    """The module with the function, by its name or else by its file."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        sys.path.insert(0, str(file.parent))
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def _end_with_worker() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
