"""Leave a cell running in a notebook on the machine; prints {notebook, id, pid} once the server calls its kernel busy.

Run as root by the environment's own python: `python - TOKEN_FILE PORT`.
"""

import asyncio
import http.client
import json
import sys
import time
import uuid
from pathlib import Path

from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

TOKEN, PORT = Path(sys.argv[1]).read_text(), int(sys.argv[2])
NAME = "at-work.ipynb"
HEADERS = {"Authorization": f"token {TOKEN}"}


def api(method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
    connection.request(method, f"/api/{path}", body and json.dumps(body), HEADERS)
    return json.loads(connection.getresponse().read())


def message(kind, content):
    header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": "test", "username": ""}
    return json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"})


async def until(state, kernel, meanwhile):
    """Until the server calls the kernel so; a coroutine is awaited each time that it does not."""
    deadline = time.monotonic() + 120
    while (found := api("GET", f"kernels/{kernel}")["execution_state"]) != state:
        assert time.monotonic() < deadline, found
        await meanwhile()
        await asyncio.sleep(0.2)


async def begin():
    session = {"path": NAME, "name": NAME, "type": "notebook", "kernel": {"name": "python3"}}
    kernel = api("POST", "sessions", session)["kernel"]["id"]
    address = f"ws://127.0.0.1:{PORT}/api/kernels/{kernel}/channels"
    socket = await websocket_connect(HTTPRequest(address, headers=HEADERS, connect_timeout=120, request_timeout=120))
    # As a browser asks before it runs a cell: what a kernel says before the server listens to it is lost, and then it
    # is called `starting` for as long as its first cell runs.
    await until("idle", kernel, lambda: socket.write_message(message("kernel_info_request", {})))
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(300)"
    await socket.write_message(message("execute_request", {"code": code, "silent": False}))
    pid = None
    while pid is None:
        reply = json.loads(await asyncio.wait_for(socket.read_message(), 120))
        pid = int(reply["content"]["text"]) if reply["header"]["msg_type"] == "stream" else None
    await until("busy", kernel, lambda: asyncio.sleep(0))
    return {"notebook": NAME, "id": kernel, "pid": pid}


print(json.dumps(asyncio.run(begin())))
