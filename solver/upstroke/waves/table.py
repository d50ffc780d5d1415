"""Tables of measured curves: small TOML files, NAME.waves beside NAME.model, and in the cache."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke import __version__
from upstroke.errors import ModelError, OutputError
from upstroke.space.curve import Curve

SUFFIX = ".waves"
HEAD = """\
# alpha(q) of the calibrated diffusion operator, from `upstroke tune-waves`; lumped is what it corrects.
# q = h^2/D, ms. velocity = c/sqrt(D), 1/sqrt(ms), of the plane wave on fine meshes. lumped: v/c - 1 with alpha = 0.
"""


@dataclass(frozen=True, eq=False)
class Table:
    """A curve, and what it holds for.

    Attributes
    ----------
    identity : of the equations, parameters, initial state and capacitance (`find.identity`)
    lumped : (n,) v / c - 1 at curve.q without correction, -1 where no wave runs; None where it was not measured
    """

    curve: Curve
    identity: str
    lumped: NDArray[np.float64] | None = None


def read_tables(path: Path) -> tuple[Table, ...]:
    """The tables of a file.

    Raises
    ------
    ModelError where the file cannot be read, is no TOML or no table
    """
    remedy = "write it anew with upstroke tune-waves, or delete it"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return tuple(_table(entry) for entry in content["curve"])
    except OSError as error:
        raise ModelError(str(path), f"cannot read the table of waves: {error.strerror}", remedy) from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ModelError(str(path), f"no table of waves: {reason}", remedy) from None


def _table(entry: dict[str, Any]) -> Table:
    q, alpha = (np.array(entry.pop(name), np.float64) for name in ("q", "alpha"))
    if q.ndim != 1 or q.shape != alpha.shape or not len(q):
        raise ValueError("q and alpha must be rows of equal length")
    if not (np.isfinite(q).all() and np.isfinite(alpha).all() and (q > 0.0).all() and (np.diff(q) > 0.0).all()):
        raise ValueError("q must be positive and rise, and alpha be finite")
    lumped = np.array(entry.pop("lumped"), np.float64) if "lumped" in entry else None
    velocity, identity = float(entry.pop("velocity")), str(entry.pop("identity"))
    return Table(Curve(q, alpha, {key: str(value) for key, value in entry.items()}, velocity), identity, lumped)


def write_tables(path: Path, tables: Sequence[Table]) -> None:
    """Write tables; the file appears whole or not at all.

    Raises
    ------
    OutputError where the system refuses
    """
    part = path.with_name(f".{path.name}.{datetime.now(UTC).timestamp():.6f}.part")
    try:
        part.write_text(HEAD + "".join(_text(table) for table in tables), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise OutputError(str(path), f"cannot write: {error.strerror}", "choose another --output") from error
    finally:
        part.unlink(missing_ok=True)


def add_table(path: Path, table: Table) -> None:
    """Write a table to a file, in the place of one for the same membrane and time steps, beside those for others.

    Raises
    ------
    ModelError where the file is there and is no table; OutputError where the system refuses
    """
    others = read_tables(path) if path.exists() else ()
    write_tables(path, [*(other for other in others if _subject(other) != _subject(table)), table])


def _subject(table: Table) -> tuple[str, ...]:
    return table.identity, *(table.curve.source.get(key, "") for key in ("dt", "splitting", "diffusion",
                                                                         "reaction_steps"))


def stamped(curve: Curve) -> Curve:
    """The curve, with the version and the day in its source."""
    stamp = {"version": __version__, "date": datetime.now(UTC).date().isoformat()}
    return Curve(curve.q, curve.alpha, curve.source | stamp, curve.velocity)


def _text(table: Table) -> str:
    curve = table.curve
    lines = ["", "[[curve]]", *(f'{key} = "{value}"' for key, value in curve.source.items()),
             f'identity = "{table.identity}"', f"velocity = {curve.velocity:.5g}", _row("q", curve.q, ".5g"),
             _row("alpha", curve.alpha, ".4f")]
    if table.lumped is not None:
        lines.append(_row("lumped", table.lumped, ".3f"))
    return "\n".join(lines) + "\n"


def _row(name: str, values: NDArray[np.float64], form: str) -> str:
    return f"{name} = [{', '.join('nan' if math.isnan(value) else f'{value:{form}}' for value in values)}]"
