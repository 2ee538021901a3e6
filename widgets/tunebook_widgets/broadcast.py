"""A loop that tells a widget the news, at a pace that leaves the training its time."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tunebook.errors import TunebookError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunebook_widgets.curve_messages import Message

#: Shortest and longest time in seconds between two looks; ten messages a second would be the most.
_SHORTEST, _LONGEST = 0.4, 2.0
#: How many times as long as a look took the loop rests, so that it has a quarter of a per cent of one core at most;
#: and the longest that this may be, in seconds.
_REST, _REST_MOST = 400.0, 10.0
#: Looks in a row without news after which the loop slows down.
_PATIENCE = 10


class Broadcast:
    """
    Looks for news now and then, and sends them.

    It lives in the kernel's event loop, from which alone messages are sent: ipykernel 7.4 gives what comes back to the
    loop that last wrote to a widget. Reading files is done in a thread.

    Parameters
    ----------
    look
        Called in a thread; returns whether there is news.
    tell
        Called in the loop; returns the message to send, if any.
    is_live
        Whether there may still be news.
    send
        Sends a message.

    Attributes
    ----------
    spent
        CPU seconds that looking, telling and sending took until now.
    """

    def __init__(
        self,
        look: Callable[[], bool],
        tell: Callable[[], Message | None],
        is_live: Callable[[], bool],
        send: Callable[[dict[str, Any], list[bytes]], None],
    ) -> None:
        self._look, self._tell, self._is_live, self._send = look, tell, is_live, send
        self._task: asyncio.Task[None] | None = None
        self._look_seconds = 0.0
        self.spent = 0.0

    @property
    def is_running(self) -> bool:
        """Whether the loop goes on."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Begin, unless it runs already or there is no event loop to run in."""
        if self.is_running:
            return
        with suppress(RuntimeError):
            self._task = asyncio.get_running_loop().create_task(self._run(), name="tunebook-curves")

    def stop(self) -> None:
        """End at once."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        quiet = 0
        while True:
            # Asked before looking: what was written last is then read before the loop ends.
            may_go_on = self._is_live()
            news = await asyncio.to_thread(self._timed_look)
            busy = self._look_seconds
            if news:
                began = time.thread_time()
                message = self._tell()
                if message is not None:
                    self._send(*message)
                busy += time.thread_time() - began
            self.spent += busy
            if not may_go_on:
                return
            quiet = 0 if news else quiet + 1
            shortest = _SHORTEST if quiet <= _PATIENCE else _LONGEST
            await asyncio.sleep(max(shortest, min(_REST * busy, _REST_MOST)))

    def _timed_look(self) -> bool:
        began = time.thread_time()
        try:
            return self._look()
        except TunebookError:  # a file that cannot be read now may be readable later
            return False
        finally:
            self._look_seconds = time.thread_time() - began
