"""The processes of a distributed run look after one another: when one ends, all end and say why.

Paddle's launcher ends the processes of a node when one of them fails. It knows nothing of other nodes, whose
processes would wait in a collective operation for ever, and what the waiting ones print is that a connection
was lost, not who is gone and for what reason.
"""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import re
import secrets
import socket
import sys
import threading

# What Paddle says when a collective operation fails because another process is gone.
LOST_CONNECTION = re.compile(r"gloo|nccl|bkcl|connection (reset|closed|refused)", re.IGNORECASE)
# Seconds: for the word of another process to arrive; between it and the end of a process that hangs; for a
# connection to be made.
PATIENCE, GRACE, CONNECT = 5, 20, 30
# Seconds until a silent node is asked whether it is there, between questions, and how many of them.
KEEPALIVE = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
WITHOUT_A_WORD = "it ended without a word: killed, often for want of memory, or its machine is gone"


class PeerLost(ConnectionError):
    """Another process of a distributed run ended before its time; the message says which, and why."""


class Peers:
    """Context of a distributed run; with one process it does nothing.

    Every process holds a connection to the first one. Who leaves by an exception says so, who dies leaves an
    open end; the first process hears of either and tells the others, which say on stderr which process it was
    and why. They usually fail by themselves then, in a collective operation, and their exception becomes a
    :class:`PeerLost`. Who has not failed after 20 seconds hangs, and is ended.

    Args:
        rank, processes (int): of the run; Paddle's by default.
        share (callable): from this process's value to a list of everyone's; Paddle's collective by default.

    Raises:
        PeerLost: as told; other exceptions of this process pass.
    """

    def __init__(self, rank=None, processes=None, share=None):
        if rank is None:
            import paddle.distributed as dist

            rank, processes = dist.get_rank(), dist.get_world_size()
        self._rank, self._processes = rank, processes
        self._share = share or _gather
        self._lock = threading.Lock()
        self._lost, self._known, self._left = None, threading.Event(), False
        self._others = {}  # connections by rank: all for the first process, its own for the others

    def __enter__(self):
        if self._processes > 1:
            self._connect()
        return self

    def _connect(self):
        host = os.environ.get("PADDLE_CURRENT_ENDPOINT", "127.0.0.1").rsplit(":", 1)[0]
        server = socket.create_server((host, 0)) if self._rank == 0 else None
        key = secrets.token_hex(16)
        address, key = self._share((server and server.getsockname()[:2], key))[0]
        if server:
            _in_thread(self._accept, server, key)
            return
        try:
            connection = socket.create_connection(address, timeout=CONNECT)
        except OSError as error:
            place = f"{address[0]}:{address[1]}"
            print(
                f"process {self._rank} can't reach process 0 at {place} ({error}): if another process dies, "
                "this one may wait for it in vain",
                file=sys.stderr,
            )
            return
        _keep_alive(connection)
        connection.settimeout(None)
        connection.sendall(f"{key} {self._rank}\n".encode())
        self._others[0] = connection
        _in_thread(self._listen, 0, connection.makefile(encoding="utf-8"))

    def _accept(self, server, key):
        """Takes the others' connections, of those that know the key."""
        server.settimeout(CONNECT)
        with server, contextlib.suppress(OSError):
            while len(self._others) < self._processes - 1:
                connection, _ = server.accept()
                _keep_alive(connection)
                connection.settimeout(CONNECT)
                lines = connection.makefile(encoding="utf-8")
                given, _, rank = lines.readline().strip().partition(" ")
                if given != key or not rank.isdigit():
                    connection.close()
                    continue
                connection.settimeout(None)
                with self._lock:
                    self._others[int(rank)] = connection
                _in_thread(self._listen, int(rank), lines)

    def _listen(self, rank, lines):
        """Hears what a process says until it leaves: 'done', or 'lost', who, and why."""
        try:
            for line in lines:
                word, _, rest = line.strip().partition(" ")
                if word == "done":
                    return
                if word == "lost":
                    who, _, why = rest.partition(" ")
                    self._learn(int(who), why)
                    return
        except OSError:  # the machine at the other end is gone
            pass
        self._learn(rank, WITHOUT_A_WORD)

    def _learn(self, rank, why):
        """The first loss is the cause of the others."""
        with self._lock:
            if self._lost or self._left:
                return
            self._lost = rank, why
        # At once: when an exchange of gradients fails, Paddle may abort this process a moment later.
        print(f"process {self._rank}: {self._message()}", file=sys.stderr, flush=True)
        self._known.set()
        if self._rank == 0:
            self._tell(f"lost {rank} {why}")
        timer = threading.Timer(GRACE, self._give_up)
        timer.daemon = True
        timer.start()

    def _tell(self, line):
        for rank, connection in list(self._others.items()):
            if self._lost is None or rank != self._lost[0]:
                with contextlib.suppress(OSError):
                    connection.sendall(f"{line}\n".encode())

    def _give_up(self):
        if not self._left:
            print(f"process {self._rank}: still waiting for it, and ended", file=sys.stderr, flush=True)
            os._exit(1)

    def _message(self):
        rank, why = self._lost
        return f"process {rank} of 0..{self._processes - 1} ended the run: {why}; its own log says more"

    def __exit__(self, kind, error, traceback):
        if self._processes < 2:
            return
        if error is not None and LOST_CONNECTION.search(str(error)):
            self._known.wait(PATIENCE)
        with self._lock:
            self._left = True
            lost = self._lost
        if error is None:
            self._tell("done")
        elif lost is None:
            self._tell(f"lost {self._rank} {_one_line(error)}")
        for connection in list(self._others.values()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
        if lost and error is not None and LOST_CONNECTION.search(str(error)):
            raise PeerLost(self._message()) from None


def end_with_parent():
    """Ends this process when the one that started it is gone, which may be killed before it could do that."""

    def watch(parent):
        multiprocessing.connection.wait([parent.sentinel])
        print(
            f"process {os.getpid()}: the command that started it is gone, and it ends",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)

    _in_thread(watch, multiprocessing.parent_process())


def _in_thread(work, *arguments):
    threading.Thread(target=work, args=arguments, daemon=True).start()


def _one_line(error):
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if not isinstance(error, ValueError) else text


def _gather(value):
    import paddle.distributed as dist

    everyones = []
    dist.all_gather_object(everyones, value)
    return everyones


def _keep_alive(connection):
    """Lets the system find out that the machine at the other end is gone: after 40 seconds."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE:
        if hasattr(socket, name):  # Linux has all three
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
