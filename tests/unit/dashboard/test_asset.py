import hashlib
import re
from importlib.resources import files
from pathlib import Path

import pytest

from agent.dashboard import CONTENT_SECURITY_POLICY, asset

STATIC = Path(str(files("agent.dashboard"))) / "static"
OWN = sorted(
    path for path in STATIC.iterdir() if path.suffix in (".js", ".css", ".html") and not path.name.startswith("uPlot")
)
MODULES = [path for path in OWN if path.suffix == ".js"]

UPLOT_1_6_32 = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uPlot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}


def test_the_root_is_the_page() -> None:
    found = asset("/")
    assert found is not None
    assert found[0].startswith(b"<!doctype html>")
    assert found[1] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("main.js", "text/javascript; charset=utf-8"),
        ("base.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("uPlot.LICENSE", "text/plain; charset=utf-8"),
    ],
)
def test_a_file_comes_with_its_content_type(name: str, content_type: str) -> None:
    assert asset(f"/static/{name}") == ((STATIC / name).read_bytes(), content_type)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "index.html",
        "/index.html",
        "/static",
        "/static/",
        "/static/missing.js",
        "/static/../__init__.py",
        "/static/../static/main.js",
        "/static/..%2fstatic%2fmain.js",
        "/static//etc/passwd.css",
        "/static/.hidden.js",
        "/static/main.js\n",
        "/static/main.js\0.css",
        "/static/..\\main.js",
        "//static/main.js",
    ],
)
def test_nothing_else_is_served(path: str) -> None:
    assert asset(path) is None


@pytest.mark.parametrize("name", UPLOT_1_6_32)
def test_the_vendored_chart_library_is_what_was_published(name: str) -> None:
    assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == UPLOT_1_6_32[name]


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_no_file_names_another_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", text) == []


def test_the_page_needs_nothing_that_its_security_policy_forbids() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert "default-src 'self'" in CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|javascript:", page) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_finds_what_it_imports_and_stays_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    imported = re.findall(r'from "([^"]+)"', text)
    assert [name for name in imported if not (STATIC / name).is_file()] == []
    assert text.startswith("/** ")
    assert len(text.splitlines()) <= 250
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", text)


def test_every_file_of_the_page_is_loaded_by_it() -> None:
    texts = [path.read_text(encoding="utf-8") for path in OWN]
    served = {path.name for path in STATIC.iterdir()} - {"index.html", "uPlot.LICENSE"}
    assert [name for name in sorted(served) if not any(f'/{name}"' in text for text in texts)] == []
