"""Pages of the site that are written elsewhere in the repository, and links between all of them."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
# Where in the repository each such page is written.
PAGES = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "benchmarks.md": "benchmarks/README.md",
    "recipes-plates.md": "recipes/plates.md",
    "recipes-stamps.md": "recipes/stamps.md",
}
_PAGE_OF = {source: page for page, source in PAGES.items()}
_LINK = re.compile(r"(!?\[[^\]]*\])\(([^)#\s]+)(#[^)\s]*)?\)")
# A label that names a file of the repository.
_FILE = re.compile(r"^\[(?:\w+/)?([\w-]+)\.md\]$")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are written elsewhere."""
    for page, source in PAGES.items():
        content = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that hold in the repository into links of the site."""
    path = page.file.src_uri
    folder = (ROOT / PAGES.get(path, f"docs/{path}")).parent

    def moved(match: re.Match[str]) -> str:
        label, target, anchor = _FILE.sub(r"[\1]", match[1]), match[2], match[3] or ""
        if ":" in target:
            return match[0]
        place = (folder / target).resolve()
        if not place.is_relative_to(ROOT):
            return match[0]
        name = place.relative_to(ROOT).as_posix()
        if name in _PAGE_OF:
            return f"{label}({_up(path)}{_PAGE_OF[name]}{anchor})"
        if name.startswith("docs/"):
            return f"{label}({_up(path)}{name.removeprefix('docs/')}{anchor})"
        # Code and examples are no pages of the site: their place in the repository is named.
        return f"{label.strip('![]')} (`{name}`)" if place.exists() else match[0]

    return _LINK.sub(moved, markdown)


def _up(page: str) -> str:
    return "../" * page.count("/")
