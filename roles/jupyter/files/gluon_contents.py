"""A contents manager for which markdown chapters are notebooks, made from the file manager that a server has.

In the server's configuration, with the folder of this file in sys.path:

    from notebook.services.contents.largefilemanager import LargeFileManager  # the classic notebook, 5 and 6
    c.NotebookApp.contents_manager_class = chapters(LargeFileManager)

    from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager  # JupyterLab 3 and later
    c.ServerApp.contents_manager_class = chapters(AsyncLargeFileManager)
"""

import inspect
from pathlib import Path

import gluon_chapters
import nbformat
from tornado.web import HTTPError


def chapters(manager, outputs=False):
    """The file manager, which reads and saves each file in .md as a notebook unless it is asked for the text.

    Each .md: a listing does not look into its files, and a page without code is a notebook of one cell.
    """
    if inspect.iscoroutinefunction(manager._read_notebook):

        async def answer(value):
            return value
    else:

        def answer(value):
            return value

    class Chapters(manager):
        def get(self, path, content=True, type=None, format=None, **more):
            if type is None and is_chapter(path) and Path(self._get_os_path(path.strip("/"))).is_file():
                type = "notebook"
            return super().get(path, content=content, type=type, format=format, **more)

        def _read_notebook(self, os_path, *args, **more):
            if not is_chapter(os_path):
                return super()._read_notebook(os_path, *args, **more)
            with self.open(os_path, "rb") as file:
                content = file.read()
            try:
                notebook = nbformat.from_dict(gluon_chapters.read(content.decode("utf-8")))
            except UnicodeDecodeError as error:
                why = f"{os_path} is not UTF-8 encoded (byte {error.start}): convert it, in a terminal by iconv."
                raise HTTPError(400, why, reason="bad format") from error
            return answer((notebook, content) if more.get("raw") else notebook)

        def _save_notebook(self, os_path, notebook, *args, **more):
            if not is_chapter(os_path):
                return super()._save_notebook(os_path, notebook, *args, **more)
            # In full before the file is touched: what cannot be written leaves it as it was.
            content = written(notebook).encode("utf-8")
            with self.atomic_writing(os_path, text=False) as file:
                file.write(content)
            return answer(None)

        def check_and_sign(self, notebook, path=""):
            """Sign a trusted notebook as the next reader will get it."""
            if not is_chapter(path):
                gluon_chapters.forget(notebook)
                super().check_and_sign(notebook, path)
            elif self.notary.check_cells(notebook):
                self.notary.sign(nbformat.from_dict(gluon_chapters.read(written(notebook))))

    def written(notebook):
        return gluon_chapters.write(nbformat.convert(notebook, 4), outputs)

    return Chapters


def is_chapter(path):
    return path.rstrip("/").endswith(".md")
