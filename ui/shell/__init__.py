"""What surrounds every page: state, address, filters, theme, the gate, empty states."""
