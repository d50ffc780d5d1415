"""`upstroke view`: films, pictures, pages, curves and features of a run, from what lies in its directory.

One scene for all of them (``shape.py``): the surface of tissue, the rods of cables, with values at corners. Films and
pictures see it through ``output.raster``, pages through WebGL.
"""

from upstroke.view.features import measure
from upstroke.view.film import film, picture
from upstroke.view.fronts import fronts
from upstroke.view.look import Look
from upstroke.view.page import page

__all__ = ["Look", "film", "fronts", "measure", "page", "picture"]
