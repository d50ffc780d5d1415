"""Independent mistakes of one model file, gathered and raised together."""

from __future__ import annotations

from upstroke.errors import ErrorList, ModelError, Place, UpstrokeError


class Mistakes(list[UpstrokeError]):
    """A list of errors that knows how to raise itself."""

    def fail(self, where: Place | str, what: str, remedy: str) -> None:
        """Note a mistake and go on."""
        self.append(ModelError(where, what, remedy))

    def stop(self) -> None:
        """Raise what has been noted: one error as itself, several as an ErrorList in the order of the text."""
        if self:
            self.sort(key=lambda e: (e.where.line, e.where.column) if isinstance(e.where, Place) else (0, 0))
            raise self[0] if len(self) == 1 else ErrorList(errors=tuple(self))
