"""How a fit gives way to everything else on its machine.

nice(1) alone is not enough on Linux: where the kernel groups processes by session (autogroup, see
sched(7)), as desktops and many servers do, it only counts among processes of one session, and each
part of Foretell has a session of its own. So the session's niceness is set as well.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_AUTOGROUP = Path("/proc/self/autogroup")


def give_way(niceness: int) -> None:
    """Lower the priority of this process, and of its session if that is its parent's alone.

    Args:
        niceness: 0 to 19, as of nice(1); 0 changes nothing.
    """
    if not niceness:
        return
    os.nice(niceness)
    # A worker that was started by hand shares the session of a shell, which is to stay as it is.
    if os.getsid(0) in (os.getpid(), os.getppid()):
        # Not there without autogroups, and not to be written in some containers.
        with suppress(OSError):
            _AUTOGROUP.write_text(str(niceness))
