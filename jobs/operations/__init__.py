"""What keeps an installation running: status, doctor, backup, schedule, serve."""
