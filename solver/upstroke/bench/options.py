"""The options of ``upstroke bench``: a command line becomes values, or an error that says what to write instead.

The rules are getopt_long's, which openCARP's users know, without its silence: ``--bcl 500``, ``--bcl=500``, ``-b500``,
``-Bv`` for ``-B -v``, and any beginning of a long name that only one option has. Of names that begin alike openCARP's
come first, so that what is short and clear there stays so here. argparse is not used: it takes ``-1e-3`` for an option
and ``--out`` twice for one, and its texts differ between versions of Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from upstroke.bench.catalogue import OPTIONS, SECTION_OF, SECTIONS, Option
from upstroke.errors import OptionError, did_you_mean

__all__ = ["OPTIONS", "Options", "parse"]

_HELP = ("help", "detailed-help", "full-help", "version")
_SHORT = {option.short: option for option in OPTIONS.values() if option.short}
_LONG = {name: option for option in OPTIONS.values() for name in (option.name, *option.aliases)}
_BACKEND = {"auto": "auto", "cpu": "cpu", "mlir-cpu": "cpu", "mlir-cuda": "cuda"}


@dataclass(frozen=True)
class Options:
    """Values by long name: ``options["bcl"]`` is what was given, else the default; KeyError for what is no option."""

    values: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        option = OPTIONS[name]
        return self.values.get(name, () if option.many else option.default)

    def given(self, name: str) -> bool:
        """Whether the command line says it."""
        return OPTIONS[name].name in self.values

    @property
    def mode(self) -> str:
        """regstim, neqstim, restitute, info, vclamp, RRC or curves."""
        return next(iter(_modes(self.values)), "regstim")

    @property
    def asked(self) -> str:
        """The name of the first option that asks for help or the version, "" where none does."""
        return next((name for name in self.values if name in _HELP), "")


def parse(argv: Sequence[str]) -> Options:
    """The options of a command line, without the name of the program.

    A command line that asks for help (``Options.asked``) is not checked any further.

    Raises
    ------
    OptionError : an option that is unknown, ambiguous, given twice, of the wrong type, without its value, or impossible
        beside another; a word that belongs to no option
    """
    values: dict[str, Any] = {}
    for option, text in _words(argv):
        if option.name in values and not option.many:
            raise OptionError(_both(option), "it is given twice", "keep one")
        value = _value(option, text)
        values[option.name] = (*values.get(option.name, ()), value) if option.many else value
    options = Options(values)
    if options.asked:
        return options
    _check(options)
    if "target" in values:
        values["backend"] = _backend(values["target"])
    return options


# -------------------------------------------------------------------------------------------------------------- words
def _words(argv: Sequence[str]) -> Iterator[tuple[Option, str | None]]:
    """Each option with the text of its value, None where it has none."""
    words = list(argv)
    while words:
        word = words.pop(0)
        if word == "+":
            raise OptionError("+", "what follows a lone + is meant for PETSc, which is not used here",
                              "leave out the + and all after it")
        if word.startswith("--") and len(word) > 2:
            name, equals, text = word[2:].partition("=")
            option = _long(name)
            if equals and option.kind is None:
                raise OptionError(f"--{option.name}", f"it takes no value, and is given '{text}'",
                                  f"write --{option.name}")
            yield option, text if equals else _next(option, words)
        elif word.startswith("-") and len(word) > 1 and not _is_number(word):
            letters = word[1:]
            while letters:
                option, letters = _short(letters[0]), letters[1:]
                if option.kind is None:
                    yield option, None
                else:
                    yield option, letters or _next(option, words)
                    letters = ""
        else:
            raise OptionError(f"'{word}'", "it stands alone, and each value belongs to an option",
                              f"write --{word}" if word in _LONG else "put its option before it, or leave it out")


def _long(name: str) -> Option:
    """The option of this name, or of which this is the beginning."""
    if name in _LONG:
        return _LONG[name]
    found = {option.name: option for long, option in _LONG.items() if long.startswith(name)}
    classic = [option for option in found.values() if not option.ours]
    if len(classic) == 1 or len(found) == 1:
        return classic[0] if classic else next(iter(found.values()))
    if found:
        raise OptionError(f"--{name}", f"may be {' or '.join(f'--{each}' for each in found)}", "write more of it")
    raise OptionError(f"--{name}", "no such option", _nearest(name))


def _short(letter: str) -> Option:
    if letter not in _SHORT:
        raise OptionError(f"-{letter}", "no such option", "upstroke bench --help lists all")
    return _SHORT[letter]


def _nearest(name: str) -> str:
    guess = did_you_mean(name, _LONG)
    near = guess.startswith("did you mean")
    return guess.replace("'", "'--", 1) if near else "upstroke bench --help lists all"


def _next(option: Option, words: list[str]) -> str | None:
    """The next word where it is the option's value: no option itself, but possibly a number below 0."""
    if option.kind is None or not words or words[0] == "+" or (words[0].startswith("-") and not _is_number(words[0])):
        return None
    return words.pop(0)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _value(option: Option, text: str | None) -> Any:
    if option.kind is None:
        return True
    if text is None:
        if option.bare is not None:
            return option.bare
        raise OptionError(_both(option), f"it needs {option.kind.expects}",
                          f"write --{option.name}={option.kind.metavar}")
    try:
        return option.kind.read(text)
    except (ValueError, KeyError):
        raise OptionError(_both(option), f"'{text}' is not {option.kind.expects}",
                          f"write --{option.name}={option.kind.metavar}") from None


def _both(option: Option) -> str:
    """The long name, and the short one where there is one."""
    return f"--{option.name} (-{option.short})" if option.short else f"--{option.name}"


# ------------------------------------------------------------------------------------------------ options side by side
def _modes(names: Iterable[str]) -> dict[str, Option]:
    """The modes of these options, each with an option that belongs to it and to no other mode that is asked for."""
    found = {SECTION_OF[name].mode for name in names} - {""}
    return {SECTION_OF[name].mode: OPTIONS[name] for name in names
            if SECTION_OF[name].mode and not set(OPTIONS[name].also) & found}


def _check(options: Options) -> None:
    given = [OPTIONS[name] for name in options.values]
    for option in given:
        if option.refused:
            raise OptionError(f"--{option.name}", option.refused, "leave it out")
    modes = _modes(options.values)
    if len(modes) > 1:
        (first, a), (second, b), *_ = modes.items()
        raise OptionError(f"--{a.name} and --{b.name}", f"they belong to two modes, {first} and {second}",
                          "give options of one mode")
    for section in SECTIONS:
        some = [option for option in section.options if option in given]
        if section.exclusive and len(some) > 1:
            raise OptionError(_all(option.name for option in some), f"each is a {section.note}", "give one")
    for option in given:
        section = SECTION_OF[option.name]
        clashes = [name for name in (*option.clashes, *section.clashes) if options.given(name)]
        if option.only_with is not None:
            clashes += [name for name in options.values if name not in (option.name, *option.only_with)]
        if clashes:
            raise OptionError(f"--{option.name} and --{clashes[0]}", "they do not go together", "leave one out")
        for needs in filter(None, (option.needs, section.needs)):
            if not any(options.given(name) for name in needs):
                raise OptionError(f"--{option.name}", f"it does nothing without {_all(needs, 'or')}",
                                  "add that, or leave it out")


def _all(names: Iterable[str], word: str = "and") -> str:
    return f" {word} ".join(f"--{name}" for name in names)


def _backend(target: str) -> str:
    if target not in _BACKEND:
        raise OptionError("--target", f"{target} is not available: there is no code for AMD's GPUs",
                          f"take {', '.join(_BACKEND)}")
    return _BACKEND[target]
