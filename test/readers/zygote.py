"""Runs the scripts of this folder, each in a process of its own that has the libraries already:
importing them takes two seconds, which each of hundreds of reads would pay.

zygote.py SOCKET answers one line, {"script": path, "args": [...]}, by {"code", "out", "err"}.
"""

import contextlib
import io
import json
import os
import runpy
import signal
import socket
import sys
import traceback
from pathlib import Path


def main(path):
    load()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            serve(connection)
            # No clean-up of what belongs to the parent.
            os._exit(0)
        connection.close()


def load():
    """What the scripts import."""
    import pyarrow.compute
    import pyarrow.parquet
    import pyiceberg.catalog.sql
    import pyiceberg.io.pyarrow

    # A fork loses threads and keeps their locks; jemalloc alone knows how to go on without its own.
    names = {comm.read_text().strip() for comm in Path("/proc/self/task").glob("*/comm")}
    main_thread = Path("/proc/self/comm").read_text().strip() if names else ""
    if names - {main_thread, "jemalloc_bg_thd"}:
        raise RuntimeError(f"the libraries have started threads: {names}")


def serve(connection):
    with connection, connection.makefile("rw", encoding="utf-8") as stream:
        line = stream.readline()
        if line:
            request = json.loads(line)
            stream.write(json.dumps(execute(request["script"], request["args"])) + "\n")


def execute(script, args):
    out, err = io.StringIO(), io.StringIO()
    sys.argv = [script, *args]
    sys.path[0] = os.path.dirname(script)
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
            code = 1
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


main(sys.argv[1])
