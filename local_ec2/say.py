"""What a person reads: refusals of one sentence, and the progress of what takes long."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Refusal(Exception):
    """What cannot be done, why, and what to do about it, in one sentence."""


def say(text: str) -> None:
    print(text, flush=True)


@contextmanager
def step(title: str) -> Iterator[Callable[[str], None]]:
    """Show that `title` is at work, and for how long; call what is yielded with the phase it is in.

    A terminal gets one live line. A file or a pipe gets a line every 10 seconds.
    """
    live = sys.stdout.isatty()
    begun = time.monotonic()
    phase = ""
    done = threading.Event()

    def line() -> str:
        return f"{title} ... {time.monotonic() - begun:.0f} s {phase}".rstrip()

    def show() -> None:
        while not done.wait(0.5 if live else 10):
            print(f"\r\033[K{line()[:100]}" if live else line(), end="" if live else "\n", flush=True)

    def follow(text: str) -> None:
        nonlocal phase
        phase = text

    shower = threading.Thread(target=show, daemon=True)
    shower.start()
    try:
        yield follow
        phase = "done"
    except BaseException:
        phase = "not done"
        raise
    finally:
        done.set()
        shower.join()
        print(f"\r\033[K{line()}" if live else line(), flush=True)
