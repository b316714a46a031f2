"""What pages draw of alerts."""
