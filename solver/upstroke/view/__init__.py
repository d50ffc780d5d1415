"""`upstroke view`: films, pictures, pages, curves and features of a run, from what lies in its directory."""
