"""The shell around the pages: gate, navigation, cards, charts, filters, theme. Imports jobs and metrics only."""
