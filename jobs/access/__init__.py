"""Who may do what: people who sign in, and tokens of programs."""
