"""Whether the real upstreams answer."""

import threading
import time
import urllib.error
import urllib.request

PATIENCE = 3.0  # seconds, for all of them together
PROBES = {
    "https://repo.anaconda.com": "/miniconda/",
    "https://conda.anaconda.org": "/conda-forge/noarch/repodata.json.zst",
    "https://github.com": "/d2l-ai/d2l-zh",
}


def reachable() -> dict[str, bool]:
    """Ask each upstream for a page that the roles depend on; at most 3 seconds, all at once."""
    answers = dict.fromkeys(PROBES, False)
    # Daemon threads: a name server that hangs may not hold up the program's end.
    asking = [threading.Thread(target=_ask, args=(site, answers), daemon=True) for site in PROBES]
    for thread in asking:
        thread.start()
    deadline = time.monotonic() + PATIENCE
    for thread in asking:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(answers)


def _ask(site: str, answers: dict[str, bool]) -> None:
    request = urllib.request.Request(site + PROBES[site], method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE):
            answers[site] = True
    except (OSError, urllib.error.URLError):
        answers[site] = False
