"""`python -m tests.upstream`: run the double and print its address as one line of JSON."""

import argparse
import json
from pathlib import Path

from tests.upstream.server import Double, serve


def main() -> None:
    """Parse the command line and serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.upstream", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--model", action="append", help="a model to list; repeatable")
    parser.add_argument("--api-key", help="answer 401 to any other key")
    parser.add_argument("--log", type=Path, help="append each ended call to this file")
    options = parser.parse_args()
    double = Double(
        models=options.model or ["double-small", "double-large"],
        api_key=options.api_key,
        log_path=options.log,
    )

    def announce(port: int) -> None:
        root = f"http://{options.host}:{port}"
        print(
            json.dumps({"base_url": f"{root}/v1", "control_url": f"{root}/control"}),
            flush=True,
        )

    serve(double, options.host, options.port, announce)


if __name__ == "__main__":
    main()
