"""How Sphinx builds this site: ``sphinx-build -W docs site``."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "Tunebook"
author = "Tunebook developers"
copyright = author  # noqa: A001 - Sphinx calls it so
release = importlib.metadata.version("tunebook")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated"]
myst_heading_anchors = 3
# Blocks name their language; what does not, such as a usage line of the command, is no program.
highlight_language = "none"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"exclude-members": "model_config, task, regularisers"}
napoleon_google_docstring = False
napoleon_use_rtype = False
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "furo"
html_title = f"Tunebook {release}"
html_copy_source = False
html_show_sphinx = False
