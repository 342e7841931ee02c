# SPDX-License-Identifier: Apache-2.0
"""Finished builds, kept in the user's cache folder and found by the content they were made from.

An entry is a manifest `<recipe>.json`: the files the compiler really read, with their hashes, and the product. The
recipe hashes what is known before compiling (compiler, flags, sources); the manifest adds the headers, so that a
changed header anywhere is a miss. Everything is written to a temporary name and renamed: two processes may build the
same thing at once, and the last one wins with an equal product.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_KEPT_PRODUCTS = 256
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """A finished build: the product and the files it was made from, with their hashes."""

    product: Path
    dependencies: Mapping[Path, str]


def cache_folder() -> Path:
    """The user's cache folder of the harness; may not exist yet."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "bms-harness"


def hash_file(path: Path) -> str:
    """SHA-256 of the content, hexadecimal. OSError when it cannot be read."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def find(recipe: str) -> Path | None:
    """The product built from this recipe if every file it was made from is unchanged, else None."""
    for folder in _folders():
        product = _product_of(folder / f"{recipe}.json")
        if product is not None:
            with contextlib.suppress(OSError):  # the least recently used ones are dropped first
                os.utime(product)
                os.utime(folder / f"{recipe}.json")
            return product
    return None


def store(recipe: str, product: Path, dependencies: Mapping[Path, str]) -> Path:
    """Keep a product, under the hash of all it was made from. Returns where it lies from now on.

    Falls back to a folder that lasts as long as this process when the cache is read-only or full.
    """
    name = _product_name(recipe, product, dependencies)
    try:
        return _store_in(cache_folder(), recipe, name, Entry(product, dependencies))
    except OSError as error:
        fallback = _process_folder()
        _log.warning("%s cannot be written (%s); this build is kept in %s only", cache_folder(), error, fallback)
        return _store_in(fallback, recipe, name, Entry(product, dependencies))


def keep_text(name: str, text: str) -> Path:
    """Write a text file into the cache (or the folder of this process) and return its path."""
    try:
        return _write(cache_folder(), name, text.encode())
    except OSError:
        return _write(_process_folder(), name, text.encode())


def keep_folder(prefix: str, texts: Mapping[str, bytes]) -> Path:
    """A folder of generated files, named by their content; written once, whole or not at all."""
    digest = hashlib.sha256()
    for name, text in sorted(texts.items()):
        digest.update(f"{name}\0{len(text)}\0".encode() + text)
    name = f"{prefix}-{digest.hexdigest()[:32]}"
    for folder in _folders():
        if (folder / name).is_dir():
            return folder / name
    try:
        return _write_folder(cache_folder(), name, texts)
    except OSError:
        return _write_folder(_process_folder(), name, texts)


def lasting_folder(prefix: str) -> Path:
    """A new empty folder in the cache, for products that cannot be moved (coverage notes lie beside them)."""
    try:
        cache_folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        return Path(tempfile.mkdtemp(prefix=prefix, dir=cache_folder()))
    except OSError:
        return Path(tempfile.mkdtemp(prefix=prefix, dir=_process_folder()))


def _folders() -> tuple[Path, ...]:
    return (cache_folder(), _process_folder()) if _process_folder.cache_info().currsize else (cache_folder(),)


@cache
def _process_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="bms-harness-"))
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # not in a forked worker
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def _product_of(manifest: Path) -> Path | None:
    """The product a manifest names, when it is whole and still true. A broken manifest is a miss, not an error."""
    try:
        content = json.loads(manifest.read_bytes())
        product = manifest.parent / content["product"]
        unchanged = all(hash_file(Path(path)) == known for path, known in content["dependencies"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return product if unchanged and product.is_file() else None


def _product_name(recipe: str, product: Path, dependencies: Mapping[Path, str]) -> str:
    content = "\n".join([recipe, *sorted(dependencies.values())])
    return f"{product.stem}-{hashlib.sha256(content.encode()).hexdigest()[:32]}{product.suffix}"


def _store_in(folder: Path, recipe: str, name: str, entry: Entry) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    stays = entry.product.is_relative_to(folder)
    target = entry.product if stays else _write(folder, name, entry.product.read_bytes())
    dependencies = {str(path): known for path, known in entry.dependencies.items()}
    manifest = {"product": target.relative_to(folder).as_posix(), "dependencies": dependencies}
    _write(folder, f"{recipe}.json", json.dumps(manifest, indent=1).encode())
    _drop_oldest(folder)
    return target


def _write(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(folder / name)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
    return folder / name


def _write_folder(folder: Path, name: str, texts: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    try:
        for file, text in texts.items():
            (new / file).write_bytes(text)
        new.replace(folder / name)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        if not (folder / name).is_dir():  # another process was first, with the same content
            raise
    return folder / name


def _drop_oldest(folder: Path) -> None:
    """Bound the cache; whoever loaded a product has a private copy, and a missing one is built again."""
    with contextlib.suppress(OSError):
        files = sorted((path for path in folder.iterdir() if path.is_file()), key=lambda path: path.stat().st_mtime_ns)
        for path in files[: -2 * _KEPT_PRODUCTS]:
            path.unlink(missing_ok=True)
