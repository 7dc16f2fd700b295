"""``make demo``: fill the database if it is empty, say where to look, serve on this machine only."""

from __future__ import annotations

import os
import signal

from werkzeug.serving import make_server

from . import create_app
from . import seed
from .models import db


def main() -> None:
    port = int(os.environ.get("PORT") or 5000)
    app = create_app()
    server = make_server("127.0.0.1", port, app, threaded=True)
    with app.app_context():
        db.create_all()
        calls = seed.fill()
    print(_greeting(f"http://127.0.0.1:{server.port}", calls), flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server.serve_forever()  # comes back on Ctrl-C
    print("Stopped.")


def _greeting(address: str, calls: int) -> str:
    told = (
        f"wrote {calls:,} made-up calls of the last 60 days" if calls else "kept the data of the last start"
    )
    return f"""
The support desk is running ({told}).

  Desk         {address}/
  Costs        {address}/llm-costs/

  Admin        {seed.ADMIN}    password: {seed.PASSWORD}    sees the costs
  Agent        {seed.AGENT}    password: {seed.PASSWORD}

Answers come from a stand-in on this machine unless OPENAI_API_KEY and ANTHROPIC_API_KEY are set.
Ctrl-C stops it.
"""


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:  # before it served
        print("Stopped.")
