"""The comment block on top of a model file: ``// Title: ...``, ``// Authors: ...``, ``// Aliases: TT2, TP06``."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ENTRY = re.compile(r"(?P<key>[A-Z][A-Za-z]*(?: [A-Za-z]+)?):\s+(?P<value>.*\S)")


def read_header(text: str) -> dict[str, str]:
    """Key and text of each entry; a key given several times has its texts joined by line breaks.

    A comment line without a key continues the entry above it; the block ends with the first line that is no comment.
    """
    header: dict[str, str] = {}
    key, inside = "", False
    for raw in text.splitlines():
        line = raw.strip()
        if not inside and not line.startswith(("//", "#", "/*")):
            if line:
                break
            key = ""
            continue
        inside = (inside or line.startswith("/*")) and "*/" not in line
        content = line.removesuffix("*/").lstrip("/*#").strip()
        found = _ENTRY.fullmatch(content)
        if found:
            key = found["key"]
            header[key] = f"{header[key]}\n{found['value']}" if key in header else found["value"]
        elif content and key:
            header[key] += f" {content}"
        else:
            key = ""
    return header


def aliases(header: Mapping[str, str]) -> tuple[str, ...]:
    """Other names of the model."""
    return tuple(word.strip() for word in header.get("Aliases", "").split(",") if word.strip())


def bibtex(header: Mapping[str, str]) -> str:
    """The paper as a BibTeX entry, or nothing where the header names none."""
    if "Title" not in header or "Authors" not in header:
        return ""
    authors = [a.strip() for a in re.split(r",|;| and ", header["Authors"]) if a.strip()]
    family = re.sub(r"\W", "", authors[0].split()[-1])
    fields = {"author": " and ".join(authors), "title": "{" + header["Title"] + "}",
              "journal": header.get("Journal", ""), "year": header.get("Year", ""), "doi": header.get("DOI", "")}
    lines = [f"  {key} = {{{value}}}" for key, value in fields.items() if value]
    return f"@article{{{family}{header.get('Year', '')},\n" + ",\n".join(lines) + "\n}"
