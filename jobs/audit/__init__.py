"""Who did what: recorded once, verified, searched, and removed only by age."""
