import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import minihv

project = "minihv"
copyright = "the authors of minihv"
version = release = minihv.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "bitlayout",
    "eyes",
    "guest_programs",
    "labelled_lines",
    "package",
    "paging_comparison",
    "written_pages",
    "planted_faults_table",
    "remembered_references",
    "student_walk",
]
exclude_patterns = ["_build"]
nitpicky = False

autodoc_member_order = "bysource"
# Every page repeats the tree, and thousands of functions in it were half of a build.
toc_object_entries = False
# The builtin `type` in a signature is not one of the seven layout fields that standards call "type".
suppress_warnings = ["ref.python"]
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": False}
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "minihv"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_copy_source = False
