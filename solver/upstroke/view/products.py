"""What ``upstroke view`` makes of one run: which options ask for what, and which go with which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from upstroke.errors import OptionError, UnitError
from upstroke.output.files import Made
from upstroke.units import parse
from upstroke.view.curves import raster, space_time, traces
from upstroke.view.features import write_features
from upstroke.view.film import film, picture
from upstroke.view.fronts import fronts
from upstroke.view.look import Look
from upstroke.view.page import page

SEEN = frozenset({"page", "film", "picture"})
#: Products by the option that asks for each.
PRODUCTS = ("page", "film", "picture", "fronts", "space_time", "traces", "raster", "features")
TIMED = frozenset(PRODUCTS) - {"features", "fronts"}
#: Options that change a product, and which.
GOES_WITH = {
    "variable": SEEN | {"space_time"}, "range": SEEN | {"space_time"}, "from": TIMED,
    "to": TIMED, "every": SEEN, "at": frozenset({"picture", "fronts"}), "fps": frozenset({"film"}),
    "clip": SEEN, "isochrones": SEEN, "fibres": SEEN, "curves": SEEN, "angles": SEEN | {"fronts"},
    "width": frozenset({"film", "picture", "fronts"}), "triangles": SEEN | {"fronts"}, "tip": frozenset({"space_time"}),
    "feature": frozenset({"features"}), "window": frozenset({"features"}),
}


def make(runs: Sequence[Path], wanted: dict[str, Path], options: dict[str, Any], **plain: Any) -> list[Made]:
    """Make what is wanted of a run.

    Arguments
    ---------
    runs : one
    wanted : a file for each product, by the names in `PRODUCTS`
    options : what was given of `GOES_WITH`, as it was typed
    plain : options of the plain page (``probes``, ``rows``, ``output``), which goes with no product

    Raises
    ------
    OptionError for an option that nothing wanted knows, and as the products do
    """
    for name, given in plain.items():
        if given:
            raise OptionError(f"--{name}", "is of the page that is made without further options",
                              f"leave it out, or leave out --{next(iter(wanted)).replace('_', '-')}")
    if wanted and len(runs) > 1:
        raise OptionError(f"--{next(iter(wanted)).replace('_', '-')}", f"is made of one run, and {len(runs)} are given",
                          "give one")
    run = runs[0]
    for option in options:
        if not GOES_WITH[option] & wanted.keys():
            names = [f"--{name.replace('_', '-')}" for name in PRODUCTS if name in GOES_WITH[option]]
            raise OptionError(f"--{option}", f"goes with {' and '.join(names) if len(names) < 3 else ', '.join(names)}",
                              f"leave it out, or add {names[0]} FILE")
        surfaces = GOES_WITH[option] & wanted.keys() == {"fronts"} and wanted["fronts"].suffix.lower() == ".vtu"
        if surfaces and option != "at":
            raise OptionError(f"--{option}", "is of pictures, and a .vtu holds the surfaces themselves",
                              "leave it out, or take --fronts fronts.png")
    begin, end, every = (_time(option, options.get(option)) for option in ("from", "to", "every"))
    bounds = options.get("range")
    look = Look(variable=options.get("variable"), bounds=tuple(bounds) if bounds else None, clip=options.get("clip"),
                isochrones="isochrones" in options, fibres="fibres" in options, curves=_curves(options.get("curves")),
                angles=tuple(options["angles"]) if "angles" in options else None, begin=begin, end=end, every=every,
                **{name: options[name] for name in ("width", "triangles") if name in options})
    makers: dict[str, Callable[[Path], Made]] = {
        "page": lambda path: page(run, path, look),
        "film": lambda path: film(run, path, look, **({"fps": options["fps"]} if "fps" in options else {})),
        "picture": lambda path: picture(run, path, look, _times("at", options.get("at", ""))),
        "fronts": lambda path: fronts(run, path, look, _times("at", options.get("at", ""))),
        "space_time": lambda path: space_time(run, path, options.get("tip"), look),
        "traces": lambda path: traces(run, path, begin, end),
        "raster": lambda path: raster(run, path, begin, end),
        "features": lambda path: write_features(run, path, _words(options.get("feature", "")),
                                                _window(options.get("window"))),
    }
    return [makers[name](wanted[name]) for name in PRODUCTS if name in wanted]


def _time(option: str, text: str | None) -> float | None:
    """ms, from a text such as "12 ms"."""
    if text is None:
        return None
    try:
        return float(parse(text, "time"))
    except UnitError as error:
        raise OptionError(f"--{option}", error.what, error.remedy) from None


def _times(option: str, text: str) -> list[float]:
    return [time for word in _words(text) if (time := _time(option, word)) is not None]


def _curves(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else () if text.strip() == "none" else tuple(_words(text))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _window(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    times = _times("window", text)
    if len(times) != 2 or not times[0] < times[1]:
        raise OptionError("--window", f"{text!r} is not two times, the earlier first",
                          "for example --window '20 ms, 70 ms'")
    return times[0], times[1]
