"""The forms that a snapshot is read in: HTML, PDF, PNG, mail, Markdown, CSV."""
