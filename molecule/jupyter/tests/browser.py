"""Do on the machine what a reader does in the browser, and print as JSON what came of it.

Run as root by the environment's own python: `python - TOKEN_FILE PORT`.
"""

import asyncio
import http.client
import json
import sys
import uuid
from pathlib import Path

from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

TOKEN, PORT = Path(sys.argv[1]).read_text(), int(sys.argv[2])
NAME = f"chapter-{uuid.uuid4().hex}.md"
# The count 7 is the book's own; the shell block is prose to the reader and has to stay prose.
CHAPTER = """# 数组

An *array* has a shape, $n \\times m$.

```{.python .input  n=7}
import os
rows = [1, 2, 3]
rows
```

In a shell:

```
pip list
```

```{.python .input}
print(sum(rows))
1 + 1
```

The end.
"""
# Each line is run by itself; its value is what the kernel may see or do.
KERNEL = {
    "environment": "'\\n'.join(map(str, os.environ.items()))",
    "status": "open('/proc/self/status').read()",
    "keys": "os.path.exists(os.path.expanduser('~/.ssh/authorized_keys'))",
    "writable": "[p for p in ('/etc', '/usr/bin', os.environ['CONDA_PREFIX']) if os.access(p, os.W_OK)]",
    "home": "os.access(os.path.expanduser('~'), os.W_OK)",
}


def api(method, path, body=None, host="127.0.0.1", token=TOKEN):
    """Status and decoded answer of the server's API."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
    headers = {"Host": f"{host}:{PORT}", **({"Authorization": f"token {token}"} if token else {})}
    connection.request(method, f"/api/{path}", body and json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    return answer.status, json.loads(text) if answer.status < 300 and text else None


def written():
    """The chapter as the server's disk has it."""
    return api("GET", f"contents/{NAME}?type=file&format=text")[1]["content"]


def save(notebook):
    assert api("PUT", f"contents/{NAME}", {"type": "notebook", "content": notebook})[0] == 200
    return written()


async def run(socket, code):
    """Run code in the kernel; return its outputs as a notebook keeps them."""
    message = {
        "header": {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": "test", "username": ""},
        "parent_header": {},
        "metadata": {},
        "content": {"code": code, "silent": False},
        "channel": "shell",
    }
    await socket.write_message(json.dumps(message))
    outputs = []
    while True:
        reply = json.loads(await asyncio.wait_for(socket.read_message(), 60))
        kind, content = reply["header"]["msg_type"], reply["content"]
        if kind in ("stream", "execute_result", "error"):
            content.pop("transient", None)
            outputs.append({"output_type": kind, **content})
        idle = kind == "status" and content["execution_state"] == "idle"
        if idle and reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
            return outputs


async def read_a_chapter():
    api("PUT", f"contents/{NAME}", {"type": "file", "format": "text", "content": CHAPTER})
    notebook = api("GET", f"contents/{NAME}?type=notebook")[1]["content"]
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    opened_and_saved = save(notebook)

    kernel = api("POST", "kernels")[1]["id"]
    address = f"ws://127.0.0.1:{PORT}/api/kernels/{kernel}/channels"
    socket = await websocket_connect(HTTPRequest(address, headers={"Authorization": f"token {TOKEN}"}))
    for count, cell in enumerate(cells, 1):
        cell["outputs"], cell["execution_count"] = await run(socket, cell["source"]), count
    values = {name: (await run(socket, code))[0]["data"]["text/plain"] for name, code in KERNEL.items()}
    run_and_saved = save(notebook)
    api("DELETE", f"kernels/{kernel}")
    api("DELETE", f"contents/{NAME}")
    return {
        "chapter": CHAPTER,
        "cells": len(cells),
        "outputs": [output.get("text") or output["data"]["text/plain"] for cell in cells for output in cell["outputs"]],
        "opened_and_saved": opened_and_saved,
        "run_and_saved": run_and_saved,
        "kernel": values,
        "token_in_kernel": any(TOKEN in value for value in values.values()),
        "status": {
            "with the token": api("GET", "contents")[0],
            "without": api("GET", "contents", token=None)[0],
            "with another": api("GET", "contents", token="0" * len(TOKEN))[0],
            "by another name": api("GET", "contents", host="example.org")[0],
        },
    }


print(json.dumps(asyncio.run(read_a_chapter())))
