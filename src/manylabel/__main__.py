"""``python -m manylabel``: the command line without an installed script."""

import os
import signal
import threading


def main() -> None:
    """Import and run the command line; Ctrl-C during the imports ends it without a word, as nothing is lost."""
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from manylabel.cli import main as run

    run()


if __name__ == "__main__":
    main()
