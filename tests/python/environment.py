"""Makes the virtual environment that server.py runs in, and prints the path of its Python.

    python3 environment.py DIR

DIR gets what requirements.txt beside this file names, from PyPI. It is made once, and again when requirements.txt
changes; processes that ask for it at the same time wait for one of them to make it. Needs Python 3.10 with venv and pip.
"""

import fcntl
import os
import subprocess
import sys
import venv

# For a slow line; it takes five seconds on a fast one.
LIMIT = 240


def main(folder):
    os.makedirs(os.path.dirname(os.path.abspath(folder)), exist_ok=True)
    with open(os.path.join(os.path.dirname(__file__), "requirements.txt"), encoding="utf-8") as file:
        wanted = file.read()
    # The lock goes with the process, however that ends.
    with open(folder + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if made_from(folder) != wanted:
            make(folder, wanted)
    print(python(folder))


def python(folder):
    return os.path.join(folder, "bin", "python")


def stamp(folder):
    return os.path.join(folder, "made-from.txt")


def made_from(folder):
    """What the environment there was made from; None where there is none, or it was not finished."""
    try:
        with open(stamp(folder), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def make(folder, wanted):
    venv.create(folder, clear=True, with_pip=True)
    pip = [python(folder), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--requirement", "/dev/stdin"]
    subprocess.run(pip, input=wanted, text=True, check=True, timeout=LIMIT, stdout=sys.stderr)
    with open(stamp(folder), "w", encoding="utf-8") as file:
        file.write(wanted)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: environment.py DIR")
    try:
        main(sys.argv[1])
    except (OSError, subprocess.SubprocessError) as problem:
        sys.exit(f"no virtual environment: {problem}")
