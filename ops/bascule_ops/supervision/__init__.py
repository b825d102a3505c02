"""supervisord and what it is asked: start, restart one by one, recycle, try, report, reopen."""
