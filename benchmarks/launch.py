"""Runs a command and prints what it took: wall seconds, CPU seconds, peak memory in MB, exit code.

A process of its own, small and with few imports: Linux counts the memory of whoever starts a program as that
program's peak.
"""

import os
import sys
import time

SILENCE = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]

start = time.monotonic()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=SILENCE)
_, status, used = os.wait4(child, 0)
wall = time.monotonic() - start
print(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, os.WEXITSTATUS(status) or os.WTERMSIG(status))
