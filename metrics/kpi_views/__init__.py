"""View models: formatted text, status, sparkline points. Numbers are formatted here and nowhere else."""
