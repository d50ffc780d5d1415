"""What the user asked for: the schema of case files, and loading, checking and writing them."""

from upstroke.case.load import load_case
from upstroke.case.locate import located
from upstroke.case.resolved import resolved, to_toml
from upstroke.case.schema import Case

__all__ = ["Case", "load_case", "located", "resolved", "to_toml"]
