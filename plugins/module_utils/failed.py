# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""The exception that ends a module with a sentence."""

from __future__ import annotations

from typing import Any


class Failed(Exception):
    """The message is what to tell the user; `told` is what else the module returns.

    `options`, where it is told, are the module's options that the failure is about.
    """

    def __init__(self, sentence: str, **told: Any) -> None:
        super().__init__(sentence)
        self.told = told
