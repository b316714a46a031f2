"""Launcher only: the app, its routes for programs, its middleware, its log, one BLAS thread.

Pages and the sign-in gate are in ui/main.py; what programs ask is in api/.

`st.App` around ui/main.py and not pages/ beside an entry script: Streamlit would let a page's own address
run the page file without the gate (docs/decisions/0002-launcher.md).
"""

from jobs.operations.threads import one_blas_thread

one_blas_thread()  # before anything loads numpy, as the middleware does with the project

from streamlit.starlette import App  # noqa: E402

from api.routes import routes  # noqa: E402
from ui.shell.logs import outside_of_a_page, server_logs  # noqa: E402
from ui.shell.middleware import MIDDLEWARE  # noqa: E402
from ui.shell.nested import base  # noqa: E402
from ui.shell.state import live  # noqa: E402

server_logs()  # until the project's settings are read
live.watch()
app = App("ui/main.py", routes=routes(base()), middleware=MIDDLEWARE, on_script_error=outside_of_a_page)
