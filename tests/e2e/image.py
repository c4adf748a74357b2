"""Builds the image's Dockerfile without a container engine, and runs commands in what comes of it.

Each stage is a folder laid over this machine's own system (overlayfs), in a mount namespace that is gone with the
command: so every step runs as written, `apt-get` and `useradd` too, and changes nothing here. The machine stands in for
the base image. Knows the instructions that our Dockerfile uses, and refuses others.
"""

import fnmatch
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
STEP_TIMEOUT_SECONDS = 300

_SET_UP = 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && cd "$1"'
_ENTER = (
    'mount -t overlay overlay -o lowerdir=/,upperdir="$2",workdir="$3" "$1" && '
    + _SET_UP
    + ' && exec chroot . /bin/sh -c "$4"'
)
_ENTER_READ_ONLY = (
    # One after another: each clears the work folder, and would find it in the hands of another.
    'exec 9>"$1.lock" && flock 9 && mount -t overlay overlay -o ro,lowerdir=/,upperdir="$2",workdir="$3" "$1" && '
    "exec 9>&- && "
    + _SET_UP
    + ' && for each in $4; do mount -t tmpfs -o mode=1777,size="${each#*=}" tmpfs ".${each%=*}" || exit 1; done && '
    + 'for each in $5; do mount --bind "${each%%=*}" ".${each#*=}" && '
    + 'mount -o remount,bind,ro ".${each#*=}" || exit 1; done && shift 5 && exec chroot . "$@"'
)


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions in order, comments and line ends inside of them taken out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [
        (word, rest.strip()) for word, _, rest in (line.strip().partition(" ") for line in joined.splitlines()) if word
    ]


def context_files(ignore: str) -> list[Path]:
    """The files that `.dockerignore` lets into a build, relative to the root. Later lines win."""
    rules = [line.strip() for line in ignore.splitlines() if line.strip() and not line.startswith("#")]
    return [path for path in _committed() if _is_sent(path, rules)]


def _committed() -> list[Path]:
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    return [Path(name) for name in names if name and (ROOT / name).is_file()]


def _is_sent(path: Path, rules: Sequence[str]) -> bool:
    is_sent = True
    for rule in rules:
        pattern = rule.removeprefix("!").removeprefix("**/")
        names = {str(path), *map(str, path.parents)} | (set(path.parts) if "**/" in rule else set())
        if any(fnmatch.fnmatchcase(name, pattern) for name in names if name != "."):
            is_sent = rule.startswith("!")
    return is_sent


@dataclass
class Stage:
    """What one FROM has become so far: a folder of changes, and what later steps see."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)

    @property
    def changes(self) -> Path:
        """What the steps wrote; `/x/y` is `changes / "x/y"`."""
        return self.folder / "changes"

    def inside(self, path: str) -> Path:
        """Where a path of the stage is on this machine; relative ones go from WORKDIR."""
        return self.changes / os.path.normpath(f"{self.workdir}/{path}" if path[0] != "/" else path).lstrip("/")

    def run(self, script: str) -> str:
        """Run a step as root. Raises: AssertionError with what it printed."""
        folders = [str(self.folder / "root"), str(self.changes), str(self.folder / "work")]
        words = [
            "unshare",
            "--mount",
            "sh",
            "-c",
            _ENTER,
            "sh",
            *folders,
            f"cd {shlex.quote(self.workdir)} && {script}",
        ]
        done = subprocess.run(
            words,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=STEP_TIMEOUT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def entry(
        self,
        words: Sequence[str],
        *,
        user: str | None = None,
        writable: Mapping[str, str] | None = None,
        readable: Mapping[str, Path] | None = None,
    ) -> list[str]:
        """The words that run a command in the finished image, as the user and with nothing writable.

        `writable` gives folders of memory by path, with their sizes, and `readable` folders of this machine. Signals
        reach the command itself. No capabilities, and none to be had.
        """
        uid, _, gid = (user or self.user).partition(":")
        folders = " ".join(f"{path}={size}" for path, size in (writable or {}).items())
        mounted = " ".join(f"{source}={path}" for path, source in (readable or {}).items())
        for path in readable or {}:
            self.inside(path).mkdir(parents=True, exist_ok=True)  # as a container engine makes what it mounts upon
        drop = ["--clear-groups", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs"]
        as_user = ["setpriv", f"--reuid={uid}", f"--regid={gid}", *drop, "--pdeathsig", "KILL"]
        folder = [str(self.folder / "root"), str(self.changes), str(self.folder / "work")]
        enter = ["unshare", "--mount", "sh", "-c", _ENTER_READ_ONLY, "sh", *folder]
        return [*enter, folders, mounted, *as_user, "env", "-C", self.workdir, *words]


def require_overlays(folder: Path) -> None:
    """Skip the test, with the reason, where this machine can't lay folders over each other."""
    stage = _new_stage(folder / "probe", {})
    try:
        stage.run("true")
    except (AssertionError, OSError) as error:
        pytest.skip(f"needs root and overlayfs: {error}")


def build(folder: Path, args: Mapping[str, str] | None = None) -> Stage:
    """Run the Dockerfile's steps in order; the last stage. Raises: AssertionError with the step that failed."""
    stages: dict[str, Stage] = {}
    values: dict[str, str] = {}
    stage: Stage | None = None
    for word, rest in instructions(DOCKERFILE.read_text(encoding="utf-8")):
        if word == "ARG":
            name, _, default = rest.partition("=")
            values[name] = (args or {}).get(name, default)
            if stage is not None:
                stage.env[name] = values[name]
        elif word == "FROM":
            name = rest.partition(" AS ")[2] or f"stage-{len(stages)}"
            stage = stages[name] = _new_stage(folder / name, _base_environment())
        else:
            assert stage is not None, f"{word} before FROM"
            _STEPS[word](stage, rest, stages)
    assert stage is not None
    return stage


def _new_stage(folder: Path, env: dict[str, str]) -> Stage:
    for name in ("root", "changes", "work"):
        (folder / name).mkdir(parents=True)
    _open_the_way_to_python(folder / "changes")
    return Stage(folder, env)


def _open_the_way_to_python(changes: Path) -> None:
    """Everybody may run the base image's Python; this machine's may be in somebody's home."""
    for parent in reversed(Path(sys.executable).resolve().parents):
        if not parent.stat().st_mode & stat.S_IXOTH:
            opened = changes / str(parent).lstrip("/")
            opened.mkdir(parents=True)
            opened.chmod(0o711)


def _base_environment() -> dict[str, str]:
    """What the base image would set: a PATH with `python` on it. How to reach registries is this machine's own."""
    python = Path(sys.executable).resolve().parent
    inherited = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_", "HOME"))}
    return {
        **inherited,
        "PATH": f"{python}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
    }


def _run(stage: Stage, rest: str, _: Mapping[str, Stage]) -> None:
    stage.run(rest)


def _copy(stage: Stage, rest: str, stages: Mapping[str, Stage]) -> None:
    words = rest.split()
    if words[0].startswith("--from="):
        source = stages[words.pop(0).removeprefix("--from=")]
        assert len(words) == 2
        target = stage.inside(words[1])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source.inside(words[0]), target, symlinks=True)
        return
    *names, into = words
    sent = context_files((ROOT / ".dockerignore").read_text(encoding="utf-8"))
    for name in names:
        paths = [path for path in sent if path == Path(name) or Path(name) in path.parents]
        assert paths, f"COPY {name}: not in the build's context"
        for path in paths:
            target = stage.inside(into) / (path if into.endswith("/") else path.relative_to(name))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, target)


def _env(stage: Stage, rest: str, _: Mapping[str, Stage]) -> None:
    for name, value in (pair.split("=", 1) for pair in shlex.split(rest)):
        stage.env[name] = value.replace("$PATH", stage.env["PATH"])


def _workdir(stage: Stage, rest: str, _: Mapping[str, Stage]) -> None:
    stage.workdir = rest
    stage.inside(rest).mkdir(parents=True, exist_ok=True)


def _user(stage: Stage, rest: str, _: Mapping[str, Stage]) -> None:
    stage.user = rest


def _command(stage: Stage, rest: str, _: Mapping[str, Stage]) -> None:
    stage.command = json.loads(rest)


def _healthcheck(stage: Stage, rest: str, _: Mapping[str, Stage]) -> None:
    stage.healthcheck = json.loads(rest.partition("CMD ")[2])


def _said_only(_: Stage, __: str, ___: Mapping[str, Stage]) -> None:
    """Changes nothing in the image's files."""


_STEPS = {
    "RUN": _run,
    "COPY": _copy,
    "ENV": _env,
    "WORKDIR": _workdir,
    "USER": _user,
    "CMD": _command,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _said_only,
    "EXPOSE": _said_only,
}
