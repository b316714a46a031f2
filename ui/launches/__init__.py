"""What pages draw of launches."""
