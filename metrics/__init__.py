"""What the numbers mean. No Streamlit, no network, no clock: `now`, reader and settings are arguments."""
