"""One thread of linear algebra per process, whatever the environment says."""

from __future__ import annotations

import os

VARIABLES = ("OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")  # numpy's and scipy's wheels; those of macOS


def one_blas_thread() -> None:
    """Call before numpy is loaded, for it is then that BLAS looks: in whatever starts a process, app.py and cli/app.py.

    Our matrices are small. A second thread waits for the first one, at the full price of a core, and takes that core
    from the server's other readers: a launch page took ten times as long.
    """
    os.environ.update(dict.fromkeys(VARIABLES, "1"))
