"""Launcher only: the app, its middleware, its log, one BLAS thread. Pages and the sign-in gate are in ui/main.py.

`st.App` around ui/main.py and not pages/ beside an entry script: Streamlit would let a page's own address
run the page file without the gate (docs/decisions/0002-launcher.md).
"""

from streamlit.starlette import App

from jobs.operations.threads import one_blas_thread
from ui.shell.logs import outside_of_a_page, server_logs
from ui.shell.middleware import MIDDLEWARE

one_blas_thread()  # Streamlit itself has not loaded numpy yet
server_logs()  # until the project's settings are read
app = App("ui/main.py", middleware=MIDDLEWARE, on_script_error=outside_of_a_page)
