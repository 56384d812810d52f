"""The one error that ends a command."""


class CondaError(Exception):
    """A failure with the name that conda gives it; exit status 1."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message
