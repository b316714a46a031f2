"""Launcher only: the app, its middleware. Pages and the sign-in gate are in ui/main.py.

`st.App` around ui/main.py and not pages/ beside an entry script: Streamlit would let a page's own address
run the page file without the gate (docs/decisions/0002-launcher.md).
"""

from streamlit.starlette import App

from ui.shell.logs import outside_of_a_page, server_logs
from ui.shell.middleware import MIDDLEWARE

server_logs()  # until the project's settings are read
app = App("ui/main.py", middleware=MIDDLEWARE, on_script_error=outside_of_a_page)
