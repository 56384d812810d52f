"""How moto's functions are replaced: each replacement gets the original as its first argument."""

import functools
from collections.abc import Callable
from typing import Any


def wrap(owner: type, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace the method `name` of `owner` by the decorated function, called as f(original, self, ...).

    Raises AttributeError if moto has no such method any more.
    """
    original = getattr(owner, name)

    def replace(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def replacement(*args: Any, **kwargs: Any) -> Any:
            return function(original, *args, **kwargs)

        setattr(owner, name, replacement)
        return function

    return replace


def wrap_property(owner: type, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace the property `name` of `owner` by the decorated function, called as f(original, self)."""
    original = getattr(owner, name).fget

    def replace(function: Callable[..., Any]) -> Callable[..., Any]:
        setattr(owner, name, property(lambda self: function(original, self)))
        return function

    return replace
