"""Numbers become text here and nowhere else: formats, tables, sparklines, exports."""
