"""Read and write store files: never a mixture of two contents, through a link, or without end."""

import contextlib
import ctypes
import errno
import json
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from hw5hpc.errors import UserError
from hw5hpc.store.values import numbers as numbers
from hw5hpc.store.values import parse_json as parse_json
from hw5hpc.store.values import parse_json_lines
from hw5hpc.store.values import valid as valid

FORMAT = 1
MEGABYTE = 1 << 20
# More than any file of its kind comes to; what is larger is not read at all.
RECORD_BYTES = 16 * MEGABYTE
TABLE_BYTES = 256 * MEGABYTE
WEIGHTS_BYTES = 32_768 * MEGABYTE
# What open says where something else than a file stands; the rest is the disk's trouble.
NOT_A_FILE = (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV)
KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


class StoreError(UserError, OSError):
    """A store file that cannot be read or written: one line that begins with its path."""


def other_format(path: Path, version: object) -> str:
    return f"{path}: format version {str(version)[:40]}; this code reads {FORMAT}"


def describe(path: Path, error: OSError) -> str:
    """Return one line on what is wrong with a file, its path first."""
    if isinstance(error, StoreError):
        return str(error)
    said = "a link, which is never followed here" if error.errno == errno.ELOOP else error.strerror
    return f"{path}: {said}"


def open_regular(path: Path, flags: int, mode: int = 0o666) -> int:
    """Return a descriptor of a regular file; a pipe does not block, a link is not followed.

    Raises:
        StoreError: something else stands there.
        FileNotFoundError: nothing stands there.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno in NOT_A_FILE:
            raise StoreError(describe(path, error)) from error
        raise
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind):
        return descriptor
    os.close(descriptor)
    raise StoreError(f"{path}: {KINDS.get(stat.S_IFMT(kind), 'a device')}, not a file")


def open_new(path: Path) -> int:
    """Return a descriptor to write a file that must not be there yet."""
    return open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)


def read_bytes(path: Path, limit: int = RECORD_BYTES, magic: bytes = b"") -> bytes:
    """Return a file's content.

    Raises:
        StoreError: it is no regular file, is larger than `limit` bytes, or does not begin with
            `magic`: then no more of it is read.
        FileNotFoundError: nothing stands there.
        OSError: it may not be read, or the disk is in trouble.
    """
    with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise StoreError(f"{path}: too large ({size} bytes; at most {limit} are read)")
        if file.read(len(magic)) != magic:
            raise StoreError(f"{path}: damaged ({size} bytes, and not of its kind)")
        # What is appended meanwhile is for the next reader.
        return magic + file.read(max(size - len(magic), 0))


def size(path: Path) -> int:
    """Return a file's length in bytes, 0 when there is none.

    Raises:
        StoreError: it is no regular file.
    """
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return 0
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path}: not a file")
    return found.st_size


def refuse_links(root: Path, *folders: Path) -> None:
    """Raise StoreError when a folder below `root`, or one on the way to it, is a link.

    The output folder itself may be one (to a scratch disk, say): its owner made it. One inside it
    may have been planted by whoever can write there, to have files written elsewhere.
    """
    for folder in folders:
        for part in (*[up for up in reversed(folder.parents) if root in up.parents], folder):
            if part.is_symlink():
                raise StoreError(f"{part}: a link, and nothing is written through one")


def write_atomic(path: Path, write: Callable[[BinaryIO], object], sync: bool = True) -> None:
    """Let `write` fill a temporary file beside `path`, sync it, and rename it into place.

    Without `sync` the caller must call sync_filesystem before it relies on the content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with os.fdopen(open_new(temporary), "wb") as file:
            write(file)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        put_in_place(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync:
        sync_folder(path.parent)


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename a file over another (a link is replaced, not followed); a folder is put aside."""
    try:
        temporary.replace(path)
    except IsADirectoryError:
        path.rename(path.with_name(f"{path.name}.damaged-{secrets.token_hex(4)}"))
        temporary.replace(path)


def sync_folder(folder: Path) -> None:
    """Make the renames in a folder last through a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_filesystem(folder: Path) -> None:
    """Make all that was written on a folder's file system last, many small files at once."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Python has no call for it, and os.sync would wait for every other disk as well.
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str, sync: bool = True) -> None:
    """Write UTF-8; what cannot be (a file name of another encoding) as its code: \\udcff."""
    write_atomic(path, lambda file: file.write(text.encode(errors="backslashreplace")), sync)


def write_json(path: Path, value: Any, sync: bool = True) -> None:
    write_text(path, json.dumps(valid(value), indent=2, sort_keys=True) + "\n", sync)


def write_new_json(path: Path, value: Any) -> None:
    """Write a file unless there is one; not synced."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    write_json(fresh, value, sync=False)
    try:
        link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def link(source: Path, target: Path) -> bool:
    """Give a file a second name; return whether the name was free. One of many callers wins."""
    try:
        target.hardlink_to(source)
    except FileExistsError:
        return False
    except PermissionError:
        # A file system without hard links; exclusive creation is the next best.
        return _copy_exclusively(source, target)
    return True


def _copy_exclusively(source: Path, target: Path) -> bool:
    try:
        descriptor = open_new(target)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "wb") as file:
        file.write(read_bytes(source))
    return True


def discard(path: Path) -> None:
    """Remove a file if that is possible; its absence is only tidier."""
    with contextlib.suppress(OSError):
        path.unlink()


def read_json(path: Path, limit: int = RECORD_BYTES) -> Any | None:
    """Return the content, or None when the file is missing or is not JSON.

    Raises:
        StoreError: as read_bytes.
    """
    try:
        return parse_json(read_bytes(path, limit))
    except (FileNotFoundError, NotADirectoryError):
        return None


def append_json_line(path: Path, value: Any) -> None:
    """Append one row in a single write; a torn last line of an earlier crash is closed first.

    Raises:
        StoreError: a link, a pipe or the like stands there.
    """
    row = (json.dumps(valid(value), sort_keys=True) + "\n").encode()
    descriptor = open_regular(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    with os.fdopen(descriptor, "ab+") as file:
        if file.tell() and not _ends_with_newline(file):
            row = b"\n" + row
        file.write(row)
        file.flush()
        os.fsync(file.fileno())


def _ends_with_newline(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def read_json_lines(path: Path, limit: int = TABLE_BYTES) -> list[Any]:
    """Return the rows that are whole; a torn line is left out.

    Raises:
        StoreError: as read_bytes.
    """
    try:
        content = read_bytes(path, limit)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return parse_json_lines(content)


def truncate(path: Path, length: int) -> None:
    descriptor = open_regular(path, os.O_WRONLY)
    try:
        os.ftruncate(descriptor, length)
    finally:
        os.close(descriptor)


def open_lock(path: Path) -> BinaryIO:
    """Open a file to take a lock on, and create it if need be; its content is left alone."""
    return os.fdopen(open_regular(path, os.O_RDWR | os.O_CREAT), "r+b")
