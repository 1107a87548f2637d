"""Writes protos/gen from protos/plaudit: messages, their stubs, and the gRPC code of every *_service.proto.

With --check it writes nothing and fails when protos/gen is not what it would write.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent


def main() -> int:
    """Generate aside, then compare or bring over what differs: file times, and who watches them, stay quiet."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        _generate(fresh)
        return _check(fresh, ROOT / "gen") if "--check" in sys.argv[1:] else _replace(fresh, ROOT / "gen")


def _generate(target: Path) -> None:
    """Run the protoc inside grpcio-tools: the only one that has the grpc_python plugin."""
    protos = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "plaudit").rglob("*.proto"))
    services = [path for path in protos if path.endswith("_service.proto")]
    plugins = [f"--plugin={BIN / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT}", *plugins]
    messages = [f"--python_out={target}", f"--mypy_out=quiet:{target}"]
    calls = [f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet,only_async:{target}"]
    for outputs, files in ((messages, protos), (calls, services)):
        if files and subprocess.run([*protoc, *outputs, *files], check=False).returncode:
            sys.exit("protos: protoc failed, protos/gen is as it was")


def _files(root: Path) -> dict[str, bytes]:
    """Map the relative path of every generated file to its content."""
    paths = [path for path in root.rglob("*") if path.suffix in {".py", ".pyi"}]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def _check(fresh: Path, committed: Path) -> int:
    """Name the files that differ and return 1, or return 0."""
    new, old = _files(fresh), _files(committed)
    stale = sorted(name for name in new.keys() | old.keys() if new.get(name) != old.get(name))
    for name in stale:
        sys.stderr.write(f"protos/gen/{name} is not current: run `make protos` and commit\n")
    return 1 if stale else 0


def _replace(fresh: Path, committed: Path) -> int:
    """Make `committed` equal to `fresh`."""
    new, old = _files(fresh), _files(committed)
    for name in old.keys() - new.keys():
        (committed / name).unlink()
    for name, content in new.items():
        if old.get(name) != content:
            (committed / name).parent.mkdir(parents=True, exist_ok=True)
            (committed / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
