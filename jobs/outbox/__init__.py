"""Messages: recorded before they are sent, sent once."""
