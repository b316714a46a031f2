"""Alert rules: rule + series + now → state. Pure: no clock, no store, no network."""
