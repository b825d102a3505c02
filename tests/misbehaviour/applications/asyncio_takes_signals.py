"""Has event loops of asyncio handle SIGTERM, one at the import and one in each call."""

import asyncio
import signal

from tests.misbehaviour.stage import staged, tell

REPORT = "python/cpython#78860"
LOGGED = r"asyncio (took|may not take) SIGTERM"
BORNE_BY = "wakeup_pipe"
REQUESTS = 60
AT_ONCE = 8

LOOP = asyncio.new_event_loop()
LOOP.add_signal_handler(signal.SIGTERM, print, "stopping")


async def work(environ):
    """Handle SIGTERM for a moment."""
    try:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print, "stopping")
    except (RuntimeError, ValueError):  # not in the main thread
        tell(environ, "asyncio may not take SIGTERM")
    else:
        tell(environ, "asyncio took SIGTERM")
    await asyncio.sleep(0.02)


def misbehave(environ, _start_response):
    """Run it, and leave the loop open as it is."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(work(environ))
    environ["loop"] = loop


application = staged(misbehave)
