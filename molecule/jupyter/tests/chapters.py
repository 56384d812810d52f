"""Open, save, change, copy and restore chapters as a browser does, and print as JSON what lies on the disk then.

Run as root by the environment's own python: `python - TOKEN_FILE PORT`.
"""

import base64
import http.client
import json
import sys
import uuid
from pathlib import Path
from urllib.parse import quote

TOKEN, PORT = Path(sys.argv[1]).read_text(), int(sys.argv[2])
FOLDER = f"章节-{uuid.uuid4().hex}"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = {"output_type": "display_data", "data": {"image/png": PNG, "text/plain": "<图>"}, "metadata": {}}
CHAPTER = """# 数组

An *array* has a shape, $n \\times m$.

```{.python .input  n=7}
rows = [1, 2, 3]  # 行
```

In a shell:

```
pip list
```

```{.python .input}
sum(rows)
```

The end.
"""
STORED = f"""
```{{.python .input  n=1}}
plot()
```

```{{.json .output n=1}}
{json.dumps([IMAGE])}
```
"""
CHAPTERS = {
    "数组.md": CHAPTER,
    "windows.md": CHAPTER.replace("\n", "\r\n"),
    "no last line end.md": CHAPTER.rstrip(),
    "byte order mark.md": "\ufeff" + CHAPTER,
    "outputs.md": CHAPTER + STORED,
    "malformed outputs.md": CHAPTER + STORED.replace("[{", "[{{"),
    "other languages.md": "```{.bash .input}\nls\n```\n\n\n````{.r .input}\n```\n````  \n",
    "prose.md": "  Only prose,\tand ```a word```.  \n\n\n",
    "blank.md": "\n\n",
    "empty.md": "",
}


def ask(method, path, body=None):
    """Status and text of the server's answer."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
    headers = {"Authorization": f"token {TOKEN}"}
    connection.request(method, f"/api/contents/{quote(path, safe='/?=&')}", body and json.dumps(body), headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def api(method, path, body=None):
    """Decoded answer of the server's API."""
    status, text = ask(method, path, body)
    assert status < 300, (method, path, status, text)
    return json.loads(text) if text else None


def upload(path, text, encoding="utf-8"):
    content = base64.b64encode(text.encode(encoding)).decode()
    api("PUT", path, {"type": "file", "format": "base64", "content": content})


def on_disk(path):
    return base64.b64decode(api("GET", f"{path}?type=file&format=base64")["content"]).decode()


def opened(path):
    model = api("GET", path)
    assert (model["type"], model.get("message")) == ("notebook", None), model
    return model["content"]


def saved(path, notebook):
    assert "message" not in api("PUT", path, {"type": "notebook", "content": notebook})
    return on_disk(path)


def changed():
    """What becomes of the first chapter when a cell is run, another edited, and a third is new."""
    path = f"{FOLDER}/数组.md"
    notebook = opened(path)
    run, edited = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    run.update(outputs=[IMAGE], execution_count=40)
    edited["source"] = "max(rows)  # 最大"
    new = {"cell_type": "code", "metadata": {}, "source": "len(rows)", "outputs": [IMAGE], "execution_count": 41}
    notebook["cells"].append(new)
    return saved(path, notebook)


def kept():
    """What a copy, a new name and a checkpoint have of a chapter."""
    path, other = f"{FOLDER}/windows.md", f"{FOLDER}/renamed.md"
    copy = api("POST", FOLDER, {"copy_from": path})["path"]
    checkpoint = api("POST", f"{path}/checkpoints")["id"]
    upload(path, "gone")
    api("POST", f"{path}/checkpoints/{checkpoint}")
    restored = on_disk(path)
    api("PATCH", path, {"path": other})
    return {"copied": on_disk(copy), "restored": restored, "renamed": saved(other, opened(other))}


def refused():
    """What the server says to a chapter in another encoding."""
    upload(f"{FOLDER}/gbk.md", "# 数组\n", "gbk")
    return ask("GET", f"{FOLDER}/gbk.md")


api("PUT", FOLDER, {"type": "directory"})
for name, text in CHAPTERS.items():
    upload(f"{FOLDER}/{name}", text)
found = {
    "chapters": CHAPTERS,
    "listed": {one["name"]: one["type"] for one in api("GET", FOLDER)["content"]},
    "outputs": [cell["outputs"] for cell in opened(f"{FOLDER}/outputs.md")["cells"] if cell.get("outputs")],
    "saved": {name: saved(f"{FOLDER}/{name}", opened(f"{FOLDER}/{name}")) for name in CHAPTERS},
    "changed": changed(),
    "refused": refused(),
    **kept(),
}
for one in api("GET", FOLDER)["content"]:
    api("DELETE", one["path"])
api("DELETE", FOLDER)
print(json.dumps(found))
