"""Starts a Jupyter kernel, runs cells in it, and says its process id in REAL_READY."""

import os
import sys
import time

from jupyter_client import KernelManager

manager = KernelManager(kernel_cmd=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])
manager.start_kernel()
client = manager.blocking_client()
client.start_channels()
client.wait_for_ready(timeout=120)
for cell in ("import json, re, collections", "rows = [{'id': i, 'text': str(i)} for i in range(20000)]",
             "by = collections.defaultdict(list)\nfor row in rows: by[row['id'] % 97].append(row)",
             "async def later(): return 1\nawait later()", "1 / 0", "import os; os.getpid()"):
    reply = client.execute_interactive(cell, timeout=120, output_hook=lambda message: None)
time.sleep(1)
with open(os.environ["REAL_READY"] + ".new", "w") as ready:
    ready.write(str(manager.provisioner.process.pid))
os.rename(os.environ["REAL_READY"] + ".new", os.environ["REAL_READY"])
try:
    sys.stdin.read()
finally:
    manager.shutdown_kernel(now=True)
