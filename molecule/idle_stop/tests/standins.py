"""Jupyter's API on port 8888 and EC2's metadata on 8169, as the JSON file that is named says: path -> text.

What is asked of Jupyter without its token is refused; so is what is asked of the metadata without one of version 2.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    def answer(self, status, text=""):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self):
        self.answer(200 if self.path == "/latest/api/token" else 404, "metadata-token")

    def do_GET(self):
        path = self.path.partition("?")[0]
        jupyter = self.headers.get("Authorization") == f"token {Path('/etc/jupyter/token').read_text()}"
        metadata = self.headers.get("X-aws-ec2-metadata-token") == "metadata-token"
        if not (jupyter if path.startswith("/api/") else metadata):
            self.answer(403)
        else:
            text = json.loads(Path(sys.argv[1]).read_text()).get(path)
            self.answer(404 if text is None else 200, text or "")


metadata = ThreadingHTTPServer(("127.0.0.1", 8169), Handler)
threading.Thread(target=metadata.serve_forever, daemon=True).start()
ThreadingHTTPServer(("127.0.0.1", 8888), Handler).serve_forever()
