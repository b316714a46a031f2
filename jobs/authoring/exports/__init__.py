"""Exports that `kpi init` recognises, one file each."""
