"""The smallest app that knows what its model calls cost, in one file.

    python examples/quickstart.py                        asks three questions and prints the report
    flask --app examples/quickstart.py run --debug       serves it: /ask?user=ann&q=Hello and /llm-costs/

Without OPENAI_API_KEY in the environment a stand-in on this machine answers: no network, no cost.
"""

from __future__ import annotations

from flask import Flask
from flask import request
from flask_sqlalchemy import SQLAlchemy
from openai import OpenAI

import stand_in
from flask_llm_cost import LLMCostTracker
from flask_llm_cost import with_tags

stand_in.answer_where_no_key_is()

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///quickstart.sqlite"
app.config.from_prefixed_env()
db = SQLAlchemy(app)
tracker = LLMCostTracker(app)  # the dashboard is at /llm-costs/
openai = OpenAI()

with app.app_context():
    db.create_all()


@app.get("/ask")
def ask() -> str:
    with with_tags(user=request.args["user"], feature="questions"):
        answer = openai.responses.create(model="gpt-5-mini", input=request.args["q"])
    return answer.output_text


if __name__ == "__main__":
    browser = app.test_client()
    for user, question in [
        ("ann", "Why is the sky blue?"),
        ("ann", "And at dusk?"),
        ("bob", "How deep is the sea?"),
    ]:
        browser.get("/ask", query_string={"user": user, "q": question})
    print(app.test_cli_runner().invoke(args=["llm-cost", "report"]).stdout)
