"""Weekly snapshots: a catalogue and a week → a frozen document, and the forms it is read in."""
