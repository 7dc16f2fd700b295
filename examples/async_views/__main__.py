"""Ask the views as a browser would, and print what that has cost."""

from __future__ import annotations

from . import create_app


def main() -> None:
    app = create_app()
    browser = app.test_client()
    answers = browser.get("/compare", query_string={"user": "ann", "q": "Is the ferry late?"}).get_json()
    print(f"ann was answered by {' and '.join(answers)}.")
    browser.get("/first", query_string={"user": "bob", "q": "Tell me a long story."})
    report = ["llm-cost", "report", "--by", "tag:role", "--by", "user", "--by", "status"]
    print(app.test_cli_runner().invoke(args=report).stdout)


if __name__ == "__main__":
    main()
