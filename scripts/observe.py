#!/usr/bin/env python3
"""Serves with a Prometheus beside it that scrapes the server and has the alerts of ops/prometheus loaded.

Usage: observe.py [--port 8080] [--prometheus-port 9095] -- COMMAND OF THE SERVER
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIGURATION = Path(__file__).resolve().parent.parent / "ops" / "prometheus"
# Where the configuration looks for the server, and how often.
TARGET, INTERVAL = "127.0.0.1:8080", "scrape_interval: 5s"


@contextmanager
def prometheus(port: int, server_port: int, interval: str | None = None) -> Iterator[str]:
    """A Prometheus over a server, with an empty store; its address, once it answers."""
    with tempfile.TemporaryDirectory() as folder:
        text = (CONFIGURATION / "prometheus.yml").read_text()
        # A configuration that says otherwise would leave it looking at nothing.
        assert TARGET in text and INTERVAL in text, "ops/prometheus/prometheus.yml has changed"
        text = text.replace(TARGET, f"127.0.0.1:{server_port}")
        if interval:
            text = text.replace(INTERVAL, f"scrape_interval: {interval}")
        Path(folder, "prometheus.yml").write_text(text)
        shutil.copy(CONFIGURATION / "rules.yml", folder)
        command = [
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ]
        process = subprocess.Popen(command)
        url = f"http://127.0.0.1:{port}"
        try:
            for _ in range(100):
                if process.poll() is not None:
                    raise SystemExit("Prometheus did not start")
                try:
                    urllib.request.urlopen(f"{url}/-/ready", timeout=5).close()
                    break
                except (urllib.error.URLError, ConnectionError):
                    time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=8080, help="of the server")
    parser.add_argument("--prometheus-port", type=int, default=9095)
    parser.add_argument("command", nargs="+", help="starts the server")
    arguments = parser.parse_args()
    # Ctrl-C is for the server, which ends as it does alone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = subprocess.Popen(arguments.command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        with prometheus(arguments.prometheus_port, arguments.port) as url:
            print(f"""
Prometheus:  {url}
  figures    {url}/graph?g0.expr=sum%20by%20(route)%20(rate(ragline_http_request_seconds_count%5B1m%5D))&g0.tab=0
  alerts     {url}/alerts
  targets    {url}/targets
Dashboards for Grafana are in ops/grafana; the metrics are listed at the end of docs/OPERATIONS.md.
""", flush=True)
            return server.wait()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    sys.exit(main())
