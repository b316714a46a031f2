"""Who is signed in, and the tokens of programs."""
