"""The documentation site, which `make docs` builds with Sphinx, MyST and Furo, without a network."""

from __future__ import annotations

import photovision

project = "Photovision"
author = copyright = "The Photovision developers"
release = version = photovision.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
default_role = "code"  # docstrings mark code as Markdown does
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # as written: a default without a literal makes a signature unreadable
autodoc_default_options = {"members": True, "inherited-members": False, "undoc-members": False}
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_use_rtype, napoleon_use_ivar = False, True
python_use_unqualified_type_names = True
add_module_names = False
maximum_signature_line_length = 88

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # notebooks are stored with their outputs; a slow test runs them again

html_theme = "furo"
html_title = "Photovision"
html_static_path = ["_static", "../src/photovision/core/templates/icon.svg"]
html_favicon = html_logo = "../src/photovision/core/templates/icon.svg"
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {
        "font-stack": "'Inter Variable', Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif",
        "color-brand-primary": "#1d5bbf",
        "color-brand-content": "#1d5bbf",
        "color-foreground-primary": "#151b26",
        "color-background-secondary": "#f8f7f4",
    },
    "dark_css_variables": {
        "color-brand-primary": "#86b1f7",
        "color-brand-content": "#86b1f7",
        "color-foreground-primary": "#ecebe6",
        "color-background-primary": "#12161c",
        "color-background-secondary": "#1a2028",
    },
}
