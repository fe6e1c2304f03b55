"""The pages of the documentation that an artist needs, as HTML that travels with the extension."""

from __future__ import annotations

import re
from pathlib import Path

from markdown_it import MarkdownIt

#: Pages in the order of the navigation: file, and what stands in the navigation.
PAGES = {
    "first_steps": "First steps",
    "reconstruct": "Every setting",
    "set_up": "The engine",
    "blender": "In the scene",
    "fast_mode": "The fast mode",
    "weights": "Weights",
    "errors": "What can go wrong",
    "results": "How good it is",
}
_LINK = re.compile(r'<a href="([^"]+)">(.*?)</a>', re.DOTALL)
_PICTURE = re.compile(r'<img src="([^"]+)"')
_HEADING = re.compile(r"<h([2-4])>(.*?)</h\1>")
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 52rem; margin: 0 auto; padding: 1rem 1.5rem 4rem; }
nav { border-bottom: 1px solid #8886; padding-bottom: .6rem; } nav a { margin-right: 1.2rem; }
img { max-width: 100%; border-radius: 6px; }
table { border-collapse: collapse; } td, th { border: 1px solid #8886; padding: .3rem .6rem; vertical-align: top; }
code { background: #8882; padding: 0 .25em; border-radius: 3px; }
pre code { display: block; padding: .7rem; overflow-x: auto; }
"""


def help_files(docs: Path) -> dict[str, bytes]:
    """The pages and the pictures they show, by their paths in the folder of the help.

    Links to pages that do not travel become plain text.

    Raises:
        FileNotFoundError: a page or a picture is missing.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    files: dict[str, bytes] = {}
    for name, title in PAGES.items():
        body = markdown.render((docs / f"{name}.md").read_text(encoding="utf-8"))
        body = _HEADING.sub(_with_anchor, _LINK.sub(_kept_link, body))
        for picture in _PICTURE.findall(body):
            files[picture] = (docs / picture).read_bytes()
        files[f"{name}.html"] = _page(title, body).encode()
    return files


def _kept_link(found: re.Match[str]) -> str:
    target, text = found.groups()
    path, mark, anchor = target.partition("#")
    if target.startswith(("http://", "https://", "#")):
        return found[0]
    if path.removesuffix(".md") in PAGES and path.endswith(".md"):
        return f'<a href="{path.removesuffix(".md")}.html{mark}{anchor}">{text}</a>'
    return text


def _with_anchor(found: re.Match[str]) -> str:
    level, text = found.groups()
    anchor = re.sub(r"[^\w\- ]", "", re.sub(r"<[^>]+>", "", text).lower()).replace(" ", "-")
    return f'<h{level} id="{anchor}">{text}</h{level}>'


def _page(title: str, body: str) -> str:
    navigation = "".join(f'<a href="{name}.html">{text}</a>' for name, text in PAGES.items())
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title} · JOSH 4D</title>\n'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body><nav>{navigation}</nav>\n{body}</body></html>\n"
    )
