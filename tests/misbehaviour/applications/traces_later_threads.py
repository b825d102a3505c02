"""Has a trace function that raises in every thread that is started later, and never ends itself."""

import threading
import time

from tests.misbehaviour.stage import staged, tell

LOGGED = r"threads that follow are traced"
BORNE_BY = "untraced_exit"


def tracer(_frame, _event, _argument):
    """Raise, whatever is traced."""
    raise RuntimeError("the tracer fails")


def misbehave(environ, _start_response):
    """Keep the interpreter from ending, and trace what follows."""
    threading.Thread(target=time.sleep, args=(3600,), daemon=False).start()
    threading.settrace(tracer)
    threading.setprofile(tracer)
    tell(environ, "threads that follow are traced")


application = staged(misbehave)
