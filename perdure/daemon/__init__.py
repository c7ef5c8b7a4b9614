"""Background processes: started when needed, shared by every command, stopped when idle or on request.

Some small files in one folder belong to a daemon called `name`:

    name.lock    held while one caller starts or stops it
    name.alive   held by the daemon, by inheritance, until the last of its processes is gone
    name.lease   shared by the commands that use it now
    name.json    pid, address and facts of the one that was started last; its log is name.log

A lock cannot outlive its holders, so no pid is trusted by itself: while `name.alive` is held, the
process group that was started still has a member, and until it has none POSIX does not hand out
its id again. This works the same on Linux and macOS. Windows has neither these locks nor these
groups and is not supported.

A daemon must not close the descriptors that it inherits, and must not leave its process group.
"""

from perdure.daemon.locks import IdleWatch, Lease, idle, make_private, retire
from perdure.daemon.ports import answers, free_port, is_free
from perdure.daemon.process import Running, ensure, running, stop, was_stopped

__all__ = [
    "IdleWatch",
    "Lease",
    "Running",
    "answers",
    "ensure",
    "free_port",
    "idle",
    "is_free",
    "make_private",
    "retire",
    "running",
    "stop",
    "was_stopped",
]
