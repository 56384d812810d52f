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


async def begin():
    session = {"path": NAME, "name": NAME, "type": "notebook", "kernel": {"name": "python3"}}
    kernel = api("POST", "sessions", session)["kernel"]["id"]
    address = f"ws://127.0.0.1:{PORT}/api/kernels/{kernel}/channels"
    socket = await websocket_connect(HTTPRequest(address, headers=HEADERS, connect_timeout=120, request_timeout=120))
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(300)"
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": "test", "username": ""}
    content = {"code": code, "silent": False}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    await socket.write_message(json.dumps(message))
    pid = None
    while pid is None:
        reply = json.loads(await asyncio.wait_for(socket.read_message(), 120))
        pid = int(reply["content"]["text"]) if reply["header"]["msg_type"] == "stream" else None
    deadline = time.monotonic() + 30
    while api("GET", f"kernels/{kernel}")["execution_state"] != "busy":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    return {"notebook": NAME, "id": kernel, "pid": pid}


print(json.dumps(asyncio.run(begin())))
