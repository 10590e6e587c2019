"""A worker that calls the notifier whenever it is told to: python worker.py FOLDER_OF_THE_MODULE METHOD

A line on its standard input is a call; a line on its standard output is the end of one.
"""

import logging
import sys

folder, method = sys.argv[1:]
sys.path.insert(0, folder)

from slack_notifier import SlackNotifier  # noqa: E402

logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
notifier = SlackNotifier()
for _ in sys.stdin:
    getattr(notifier, method)()
    print("done", flush=True)
