"""A Spark of its own processes: one master, two workers, and a driver that speaks Spark Connect."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import REQUIRED
from tests.engines.servers import needed
from tests.sampling import TIER

HOME = Path(sys.prefix) / "spark" / "pyspark"  # as `make slow` installs it
WORKERS = 2
# Short lives: code that is compiled for the long run costs more than it gives.
JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
CONF = {
    "spark.driver.memory": "1g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.extraJavaOptions": JAVA,
    "spark.executor.memory": "600m",
    "spark.executor.cores": "1",
    "spark.executor.extraJavaOptions": JAVA,
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.codegen.wholeStage": "false",  # a class compiled per question: seconds for the few rows of a test
    "spark.ui.enabled": "false",
    "spark.connect.execute.reattachable.enabled": "true",
}


def installed() -> None:
    """Skips without Java, which no wheel carries, and without the server's package; CI must have the latter."""
    needed("sail")  # of the client
    if not shutil.which("java"):
        pytest.skip("no Java for Apache Spark: install Java 17 (Debian: apt-get install openjdk-17-jre-headless)")
    if not HOME.is_dir():
        message = (
            f"no Apache Spark: .venv/bin/pip install --no-deps --target {HOME.parent} -r requirements-spark-server.txt"
        )
        (pytest.fail if REQUIRED and TIER != "fast" else pytest.skip)(message)


class Standalone:
    """The cluster, from its start on. folder: for its logs and the workers' files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.port, master = free_port(), free_port()
        self._master = f"spark://127.0.0.1:{master}"
        self._begin("master", "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", str(master),
                    "--webui-port", "0")  # fmt: skip
        self._answers("master", master)
        for number in range(WORKERS):
            self.start_worker(number)
        self.start_driver()

    @property
    def url(self) -> str:
        return f"sc://127.0.0.1:{self.port}"

    def start_worker(self, number: int) -> None:
        """One that joins the master when it is up."""
        self._begin(
            f"worker-{number}", "org.apache.spark.deploy.worker.Worker", self._master, "--host", "127.0.0.1",
            "--webui-port", "0", "--cores", "1", "--memory", "800m",
            "--work-dir", str(self._folder / f"worker-{number}"),
        )  # fmt: skip

    def start_driver(self) -> None:
        """The Connect server, until it answers: at the same address each time."""
        conf = {**CONF, "spark.connect.grpc.binding.port": str(self.port)}
        self._begin(
            "driver", "org.apache.spark.deploy.SparkSubmit", "--master", self._master,
            "--class", "org.apache.spark.sql.connect.service.SparkConnectServer",
            *(part for name, value in conf.items() for part in ("--conf", f"{name}={value}")), "spark-internal",
        )  # fmt: skip
        self._answers("driver", self.port)

    def kill(self, name: str, after: float = 0.0) -> None:
        """SIGKILL to a process and all that it began, such as a worker's executors. after: seconds from now."""
        time.sleep(after)
        os.killpg(self._running[name].pid, signal.SIGKILL)
        self._running.pop(name).wait()

    def stop(self) -> None:
        for name in list(self._running):
            self.kill(name)

    def _begin(self, name: str, *arguments: str) -> None:
        env = {**os.environ, "SPARK_HOME": str(HOME), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_JAVA_OPTS": JAVA}
        env |= {"SPARK_LAUNCHER_OPTS": JAVA, "SPARK_LOCAL_DIRS": str(self._folder)}
        if name != "driver":  # whose memory this would be, too
            env["SPARK_DAEMON_MEMORY"] = "256m"
        with self._log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                [HOME / "bin" / "spark-class", *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True,
            )  # fmt: skip

    def _answers(self, name: str, port: int) -> None:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            if self._running[name].poll() is not None:
                break
            time.sleep(0.2)
        self.stop()
        raise AssertionError(f"no {name}: {self._log(name).read_text()[-2000:]}")

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
