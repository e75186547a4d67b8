"""A stand-in for a W&B server on 127.0.0.1: it keeps what wandb-core sends and answers as W&B does.

A history line is kept under its line number (`offset` + place), as W&B keeps it, and every one that
ever arrived is in `arrived` too, so that a row sent twice shows. `refusing` makes it answer 500.
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENTITY = "lab"


class Run:
    """One run as W&B keeps it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.facts: dict[str, Any] = {}
        self.config: dict[str, Any] = {}
        self.lines: dict[int, str] = {}
        self.arrived: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.exit_code: int | None = None

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The history as the page would show it, nested keys (`samples`) as they are."""
        return [json.loads(self.lines[number]) for number in sorted(self.lines)]

    def take(self, files: dict[str, Any]) -> None:
        history = files.get("wandb-history.jsonl", {"offset": 0, "content": []})
        for place, line in enumerate(history["content"]):
            self.lines[history["offset"] + place] = line
            self.arrived.append(json.loads(line))
        for line in files.get("wandb-summary.json", {"content": []})["content"]:
            self.summary = json.loads(line)


class WandbServer:
    """The server; use it as a context manager. `url` is for WANDB_BASE_URL."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.artifacts: dict[str, dict[str, Any]] = {}
        self.artifact_files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.refusing = False
        self.views: list[dict[str, Any]] = []
        # Cleared, it keeps whoever uploads a file waiting.
        self.uploads = threading.Event()
        self.uploads.set()
        self.lock = threading.RLock()
        handler = type("Handler", (_Handler,), {"site": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        # Clients that are killed break their connections; that is part of the tests.
        self._http.handle_error = lambda *details: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)

    def __enter__(self) -> "WandbServer":
        self._thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def forget(self) -> None:
        """Be as new."""
        with self.lock:
            for kept in (self.runs, self.artifacts, self.artifact_files):
                kept.clear()
            for listed in (self.asked, self.headers, self.views):
                listed.clear()

    def run(self, name: str) -> Run:
        return self.runs.setdefault(name, Run(name))

    def answer(self, operation: str, words: dict[str, Any]) -> dict[str, Any]:
        """Return the data of a GraphQL answer; an operation that is not known gets an empty one."""
        self.asked.append(operation)
        return ANSWERS[operation](self, words) if operation in ANSWERS else {}


class _Handler(BaseHTTPRequestHandler):
    site: WandbServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *words: Any) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            parts = []
            while size := int(self.rfile.readline().strip() or b"0", 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _reply(self, value: Any, status: int = 200) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self._reply({"ok": True})

    do_HEAD = do_GET

    def do_PUT(self) -> None:
        body = self._body()
        if not self.site.uploads.is_set():
            # Whoever still lives tries again.
            self.site.uploads.wait(60)
            self.close_connection = True
            return
        with self.site.lock:
            if self.path.startswith("/artifact/"):
                self.site.artifact_files[self.path.removeprefix("/artifact/")] = body
            else:
                _, _, run, name = self.path.split("/", 3)
                self.site.run(run).files[name] = body
        self._reply({})

    def do_POST(self) -> None:
        body = self._body()
        with self.site.lock:
            self.site.headers.append(dict(self.headers))
            if self.site.refusing:
                self._reply({"errors": [{"message": "refusing"}]}, 500)
            elif self.path == "/graphql":
                asked = json.loads(body)
                name = re.search(r"(?:query|mutation)\s+(\w+)", asked["query"])
                operation = name.group(1) if name else ""
                self._reply({"data": self.site.answer(operation, asked.get("variables") or {})})
            elif match := re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path):
                self._stream(self.site.run(match.group(1)), json.loads(body))
            else:
                self._reply({}, 404)

    def _stream(self, run: Run, sent: dict[str, Any]) -> None:
        run.take(sent.get("files") or {})
        if sent.get("complete"):
            run.exit_code = sent.get("exitcode")
        self._reply({"exitcode": None, "limits": {}})


def _project(words: dict[str, Any]) -> dict[str, Any]:
    owner = {"id": "RW50aXR5", "name": words.get("entity") or ENTITY}
    return {"id": "UHJvamVjdA==", "name": words.get("project") or "?", "entity": owner}


def _upsert(site: WandbServer, words: dict[str, Any]) -> dict[str, Any]:
    new = words["name"] not in site.runs
    run = site.run(words["name"])
    run.facts.update({key: value for key, value in words.items() if value is not None})
    if words.get("config"):
        run.config = json.loads(words["config"])
    bucket = {
        "id": f"id-{run.name}",
        "name": run.name,
        "displayName": run.facts.get("displayName") or run.name,
        "description": "",
        "config": json.dumps(run.config),
        "sweepName": None,
        "project": _project(words),
        "historyLineCount": len(run.lines),
    }
    return {"upsertBucket": {"bucket": bucket, "inserted": new}}


def _resume(site: WandbServer, words: dict[str, Any]) -> dict[str, Any]:
    found = site.runs.get(words["name"])
    project = _project(words)
    if found is None:
        return {"model": {**project, "bucket": None}}
    tail = [found.lines[number] for number in sorted(found.lines)[-5:]]
    bucket = {
        "name": found.name,
        "summaryMetrics": json.dumps(found.summary),
        "displayName": found.facts.get("displayName") or found.name,
        "logLineCount": 0,
        "historyLineCount": len(found.lines),
        "eventsLineCount": 0,
        "historyTail": json.dumps(tail),
        "eventsTail": "[]",
        "config": json.dumps(found.config),
        "tags": found.facts.get("tags") or [],
        "notes": "",
        "wandbConfig": '{"t": 1}',
    }
    return {"model": {**project, "bucket": bucket}}


def _viewer(site: WandbServer, words: dict[str, Any]) -> dict[str, Any]:
    who = {"id": "VXNlcg==", "entity": ENTITY, "username": "student", "email": "s@example.org"}
    return {"viewer": {**who, "flags": "{}", "teams": {"edges": []}}}


def _run_files(site: WandbServer, words: dict[str, Any]) -> dict[str, Any]:
    files = [
        {"name": name, "uploadUrl": f"{site.url}/file/{words['run']}/{name}"}
        for name in words["files"]
    ]
    return {"createRunFiles": {"runID": words["run"], "uploadHeaders": [], "files": files}}


def _create_artifact(site: WandbServer, words: dict[str, Any]) -> dict[str, Any]:
    given = words.get("input", words)
    name = given.get("artifactCollectionName", "?")
    site.artifacts[name] = given
    made = {
        "id": f"artifact-{name}",
        "state": "PENDING",
        "artifactSequence": {"id": "s", "latestArtifact": None},
    }
    return {"createArtifact": {"artifact": made}}


def _manifest(site: WandbServer, words: dict[str, Any]) -> dict[str, Any]:
    file = {
        "id": "f",
        "name": "m",
        "displayName": "m",
        "uploadUrl": f"{site.url}/artifact/manifest",
        "uploadHeaders": [],
    }
    return {"createArtifactManifest": {"artifactManifest": {"id": "m", "file": file}}}


def _update_manifest(site: WandbServer, words: dict[str, Any]) -> dict[str, Any]:
    file = {"id": "f", "uploadUrl": f"{site.url}/artifact/manifest", "uploadHeaders": []}
    return {"updateArtifactManifest": {"artifactManifest": {"id": "m", "file": file}}}


def _artifact_files(site: WandbServer, words: dict[str, Any]) -> dict[str, Any]:
    edges = []
    for spec in words["input"]["artifactFiles"]:
        node = {
            "id": spec["name"], "name": spec["name"], "displayName": spec["name"],
            "storagePath": spec["name"], "uploadUrl": f"{site.url}/artifact/{spec['name']}",
            "uploadHeaders": [], "uploadMultipartUrls": None,
            "artifact": {"id": spec["artifactID"]},
        }  # fmt: skip
        edges.append({"node": node})
    return {"createArtifactFiles": {"files": {"edges": edges}}}


def _commit(site: WandbServer, words: dict[str, Any]) -> dict[str, Any]:
    return {"commitArtifact": {"artifact": {"id": words["artifactID"], "digest": "d"}}}


def _found(site: WandbServer, words: dict[str, Any]) -> dict[str, Any]:
    """A run as wandb.Api reads it."""
    run = site.runs.get(words["name"])
    if run is None:
        return {"project": {"run": None}}
    steps = [row["_step"] for row in run.rows]
    read = {
        "id": f"id-{run.name}",
        "tags": run.facts.get("tags") or [],
        "name": run.name,
        "displayName": run.facts.get("displayName") or run.name,
        "sweepName": None,
        "state": "finished",
        "config": json.dumps(run.config),
        "group": run.facts.get("groupName"),
        "jobType": run.facts.get("jobType"),
        "commit": None,
        "readOnly": False,
        "createdAt": "2026-01-01T00:00:00",
        "heartbeatAt": "2026-01-01T00:00:00",
        "description": "",
        "notes": "",
        "systemMetrics": "{}",
        "summaryMetrics": json.dumps(run.summary),
        "historyLineCount": len(run.lines),
        "user": {"name": "student", "username": "student"},
        "historyKeys": {"keys": {}, "lastStep": max(steps, default=-1)},
        "projectId": "1",
    }
    return {"project": {"run": read}}


LAST_PAGE = {"endCursor": None, "hasNextPage": False}


def _upsert_view(site: WandbServer, words: dict[str, Any]) -> dict[str, Any]:
    site.views.append(words)
    view = {
        "id": "Vmlldw==",
        "name": words["name"],
        "displayName": words["displayName"],
        "description": words["description"],
        "type": words["type"],
        "spec": words["spec"],
        "project": {"id": "p", "name": words["projectName"], "entityName": words["entityName"]},
        "createdAt": "2026-01-01T00:00:00",
        "updatedAt": "2026-01-01T00:00:00",
    }
    return {"upsertView": {"view": view, "inserted": True}}


ANSWERS = {
    "GetDefaultEntity": _viewer,
    "Run": _found,
    "Projects": lambda site, words: {"models": {"edges": [], "pageInfo": LAST_PAGE}},
    "GetProjects": lambda site, words: {"models": {"edges": [], "pageInfo": LAST_PAGE}},
    "ProjectInternalId": lambda site, words: {"project": {"id": "UHJvag==", "internalId": "1"}},
    "upsertView": _upsert_view,
    "RunHistoryKeys": _found,
    "ArtifactType": lambda site, words: {"project": None},
    "UpsertBucket": _upsert,
    "RunResumeStatus": _resume,
    "Viewer": _viewer,
    "ServerFeaturesQuery": lambda site, words: {"serverInfo": {"features": []}},
    "CreateRunFiles": _run_files,
    "CreateArtifact": _create_artifact,
    "CreateArtifactManifest": _manifest,
    "UpdateArtifactManifest": _update_manifest,
    "CreateArtifactFiles": _artifact_files,
    "CommitArtifact": _commit,
    "UseArtifact": lambda site, words: {"useArtifact": {"artifact": {"id": "a"}}},
}
