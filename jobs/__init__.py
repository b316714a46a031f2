"""One file = one whole job, read top to bottom. project.py is the only composition root."""
