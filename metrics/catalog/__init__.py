"""Definition files → validated, frozen datasets and KPIs, and a list of every problem."""
