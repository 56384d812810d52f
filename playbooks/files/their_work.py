"""Write to standard output what a student changed or made in a folder, on the student's machine, as the login user.

Asked by one JSON argument: folder (relative to the home), skip (names of files and folders), file_bytes, bytes, files.
Each file is a line of JSON and its bytes; so is what is left out, with the reason; a last line says that it was all.
Files are compared with the commit that the tutorial's checkout began with. No link is followed, and nothing of the
checkout's own settings is run.
"""

import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

LONGEST = 1000
# The commit that the checkout followed last; without it, what is checked out.
BASES = ("refs/gluon/upstream", "HEAD")


def say(content=b"", **line):
    sys.stdout.buffer.write(json.dumps(line).encode() + b"\n" + content)


def base_of(folder):
    """Path -> id and size of its content in the commit; nothing where there is no commit."""
    for name in BASES:
        command = ["git", f"--git-dir={folder}/.git", "ls-tree", "-r", "-l", "-z", name]
        try:
            listed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        except OSError:
            return {}
        if listed.returncode == 0:
            entries = (entry.split(b"\t", 1) for entry in listed.stdout.split(b"\0") if entry)
            return {os.fsdecode(path): tuple(about.decode().split()[2:]) for about, path in entries}
    return {}


def is_same(file, size, known):
    """Whether a file has the content that is known by id and size."""
    like, length = known
    if str(size) != length:
        return False
    digest = hashlib.new("sha256" if len(like) == 64 else "sha1", f"blob {size}\0".encode())
    for piece in iter(lambda: file.read(1 << 20), b""):
        digest.update(piece)
    file.seek(0)
    return digest.hexdigest() == like


def main():
    asked = json.loads(sys.argv[1])
    folder = Path.home() / asked["folder"]
    if folder.is_symlink() or not folder.is_dir():
        sys.exit(f"There is no folder {folder}.")
    base, left, seen = base_of(folder), asked["bytes"], 0
    for above, folders, names, descriptor in os.fwalk(folder, follow_symlinks=False):
        folders[:] = sorted(name for name in folders if name not in asked["skip"])
        for name in sorted(folders):
            if stat.S_ISLNK(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                say(skipped=str(Path(above, name).relative_to(folder)), why="it is a link")
        for name in sorted(names):
            if name in asked["skip"]:
                continue
            path = str(Path(above, name).relative_to(folder))
            seen += 1
            if seen > asked["files"]:
                say(skipped=path, why=f"it and what follows are more than {asked['files']} files")
                say(end=True)
                return
            if len(path) > LONGEST:
                say(skipped=path[:LONGEST], why="its path is too long")
                continue
            try:
                opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=descriptor)
            except OSError as error:
                link = Path(above, name).is_symlink()
                say(skipped=path, why="it is a link" if link else error.strerror)
                continue
            with os.fdopen(opened, "rb") as file:
                about = os.fstat(opened)
                if not stat.S_ISREG(about.st_mode):
                    say(skipped=path, why="it is no file")
                    continue
                if path in base and is_same(file, about.st_size, base[path]):
                    continue
                if about.st_size > asked["file_bytes"]:
                    say(skipped=path, why=f"it has {about.st_size} bytes, more than {asked['file_bytes']}")
                    continue
                # It may grow at this moment.
                content = file.read(asked["file_bytes"])
            if len(content) > left:
                say(skipped=path, why=f"with it there would be more than {asked['bytes']} bytes")
                continue
            left -= len(content)
            say(content, path=path, size=len(content))
    say(end=True)


main()
