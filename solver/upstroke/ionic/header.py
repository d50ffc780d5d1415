"""The comment block on top of a model file: ``// Title: ...``, ``// Authors: ...``, ``// Aliases: TT2, TP06``."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ENTRY = re.compile(r"\s?(?P<key>[A-Z][A-Za-z]*(?: [A-Za-z]+)?):\s+(?P<value>.*\S)\s*")
_MARK = re.compile(r"\s*(?://+|#+|/\*+|\*+(?!/))?")


def read_header(text: str) -> dict[str, str]:
    """Key and text of each entry; a key given several times has its texts joined by line breaks.

    A line indented by two spaces or more goes on with the entry above it. The block ends with the first line that is no
    comment.
    """
    header: dict[str, str] = {}
    key, inside = "", False
    for line in text.splitlines():
        if line.strip() and not inside and not line.lstrip().startswith(("//", "#", "/*")):
            break
        inside = (inside or line.lstrip().startswith("/*")) and "*/" not in line
        content = _MARK.sub("", line.replace("*/", ""), count=1)
        if found := _ENTRY.fullmatch(content):
            key = found["key"]
            header[key] = f"{header[key]}\n{found['value']}" if key in header else found["value"]
        elif key and content.startswith(("  ", "\t")) and content.strip():
            header[key] += f" {content.strip()}"
        else:
            key = ""
    return header


def aliases(header: Mapping[str, str]) -> tuple[str, ...]:
    """Other names of the model."""
    return tuple(word.strip() for word in header.get("Aliases", "").split(",") if word.strip())


def bibtex(header: Mapping[str, str]) -> str:
    """The paper as a BibTeX entry, or nothing where the header names none."""
    authors = [a.strip() for a in re.split(r",|;| and ", header.get("Authors", "")) if a.strip()]
    if not authors or "Title" not in header:
        return ""
    words = authors[0].split()
    family = re.sub(r"\W", "", words[0] if words[-1].isupper() and len(words) > 1 else words[-1])
    fields = {"author": " and ".join(authors), "title": "{" + header["Title"] + "}",
              "journal": header.get("Journal", ""), "year": header.get("Year", ""), "doi": header.get("DOI", "")}
    lines = [f"  {key} = {{{value}}}" for key, value in fields.items() if value]
    return f"@article{{{family}{header.get('Year', '')},\n" + ",\n".join(lines) + "\n}"
