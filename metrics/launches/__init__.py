"""Launch + series → scorecard. Pure: values in, values out."""
