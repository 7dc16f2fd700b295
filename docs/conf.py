"""Sphinx configuration. Nothing here needs the network."""

from __future__ import annotations

from importlib.metadata import version as installed_version

from pallets_sphinx_themes import ProjectLink

project = "flask_llm_cost"
copyright = "2026, the flask_llm_cost developers"
author = "The flask_llm_cost developers"
release = installed_version("flask-llm-cost")
version = ".".join(release.split(".")[:2])

extensions = ["myst_parser", "sphinx.ext.autodoc", "pallets_sphinx_themes"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True

html_theme = "flask"
html_title = f"flask_llm_cost {version}"
html_static_path = ["_static"]
html_sidebars = {
    "index": ["project.html", "localtoc.html", "searchbox.html"],
    "**": ["localtoc.html", "relations.html", "searchbox.html"],
}
html_context = {"project_links": [ProjectLink("Changes", "changes.html")]}
html_show_sourcelink = False
html_copy_source = False
