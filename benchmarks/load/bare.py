"""The bare page: what Streamlit itself costs, beside the dashboard's pages in the same run."""

import streamlit as st

st.write("A bare page")
