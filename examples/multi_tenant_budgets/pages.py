"""The pages. The call to the model is plain SDK code: budgets are none of its business."""

from __future__ import annotations

from functools import cache

from flask import Blueprint
from flask import g
from flask import render_template
from flask import request
from openai import OpenAI
from sqlalchemy import select

from .models import Notice
from .models import db

bp = Blueprint("pages", __name__)


@cache
def openai() -> OpenAI:
    return OpenAI()


@bp.route("/", methods=["GET", "POST"])
def home() -> str:
    answer = ask(request.form["question"]) if request.method == "POST" else None
    notices = db.session.scalars(select(Notice.text).where(Notice.tenant == g.person.tenant)).all()
    return render_template("home.html", person=g.person, answer=answer, notices=notices)


def ask(question: str) -> str:
    # A limit to the answer is a limit to what is set aside for it; without one, that of the model counts.
    answer = openai().responses.create(model="gpt-5-mini", input=question, max_output_tokens=400)
    return answer.output_text
