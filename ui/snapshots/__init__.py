"""What the page Snapshots draws beside the snapshot itself."""
