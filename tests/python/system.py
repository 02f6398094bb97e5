"""Starts the built binaries on loopback: model server, instance, relay, proxy."""

import json
import os
import queue
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

MODEL = "demo"
TOKEN_DELAY = 0.020
START_TIME = 20.0

# Everything here is on loopback; a proxy for the rest of the world is none of its business.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
# So are the settings and the state of whoever runs the tests.
_HOME = tempfile.TemporaryDirectory(prefix="sealwire-home-")
os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_STATE_HOME"] = _HOME.name


class Process:
    """A running subcommand, with what it printed."""

    # Every one that was started, so that what all of them printed can be searched.
    all = []

    def __init__(self, binary, *args, env=None):
        self.name = args[0]
        self.lines = []
        self.all.append(self)
        self._queue = queue.Queue()
        self.process = subprocess.Popen(
            [binary, *args],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def value(self, word):
        """What the process prints after a word at the start of a line."""
        deadline = time.monotonic() + START_TIME
        for line in self.lines:
            if line.startswith(word + " "):
                return line.split(" ", 1)[1].strip()
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._queue.get(timeout=left)
            except queue.Empty:
                break
            if line is None:
                break
            if line.startswith(word + " "):
                return line.split(" ", 1)[1].strip()
        raise AssertionError(f"{self.name} printed no {word!r} line but: {self.lines}")

    def url(self):
        return self.value("listening")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.kill()


class Tap:
    """Forwards TCP connections and keeps every byte: what someone at that place of the path sees."""

    all = []

    def __init__(self, target_url):
        self.all.append(self)
        host, port = target_url.removeprefix("http://").rstrip("/").split(":")
        self._target = (host, int(port))
        self._lock = threading.Lock()
        self._seen = bytearray()
        # For each connection: (up or down, bytes), in the order in which they came.
        self.connections = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def seen(self):
        with self._lock:
            return bytes(self._seen)

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            log = []
            self.connections.append(log)
            for way, source, sink in (("up", near, far), ("down", far, near)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pump, args=(log, way, source, sink), daemon=True).start()

    def _pump(self, log, way, source, sink):
        try:
            while data := source.recv(65536):
                with self._lock:
                    self._seen += data
                    log.append((way, data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            # One side broke off: so does the other.
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def stop(self):
        # Wakes the thread first: one that still accepts would do so on whatever gets the listener's number next.
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._accepting.join(timeout=5)
        self._listener.close()


class System:
    """One model server, one relay, one proxy, and instances, one unless more are asked for. The relay is tapped on both sides.

    `model` and `proxy` are more arguments for these two. The proxy trusts the instances unless it has another pin, or a policy.
    Each of `others` is the name of one more model, with a server and an instance of its own. `front` stands before each model server: it is made
    with that one's address, has a `url`, and is stopped.
    """

    def __init__(
        self, binary, pin=None, policy=None, delay=TOKEN_DELAY, instances=1, others=(), model=(), proxy=(), front=None
    ):
        self._parts = []
        self._front = front
        try:
            self.labels = {MODEL, *others}
            self._start(binary, delay, [MODEL] * instances + [*others], model)
            trust = ["--policy", policy] if policy else flags("--pin", [pin] if pin else self.identities)
            self._start_proxy(binary, [*trust, *proxy])
            self.wait_for_model()
        except BaseException:
            self.stop()
            raise

    def _start(self, binary, delay, labels, arguments):
        delay = str(round(delay * 1000))
        models = {
            label: self._run(binary, "demo-model", "--model", label, "--token-delay-ms", delay, *arguments)
            for label in dict.fromkeys(labels)
        }
        self.model = models[MODEL]
        self.upstream = self.model.url()
        upstreams = {label: self._before(model.url()) for label, model in models.items()}
        self.instances = [
            self._run(binary, "instance", "--upstream", upstreams[label], "--model", label, "--evidence", "none")
            for label in labels
        ]
        self.identities = [instance.value("identity") for instance in self.instances]
        taps = [self._tap(instance.url()) for instance in self.instances]
        # What most tests look at.
        self.instance, self.identity, self.behind_relay = self.instances[0], self.identities[0], taps[0]
        self.relay = self._run(binary, "relay", *flags("--instance", (tap.url for tap in taps)))
        self.before_relay = self._tap(self.relay.url())

    def _start_proxy(self, binary, arguments):
        self.proxy = self._run(binary, "proxy", "--relay", self.before_relay.url, *arguments)
        self.url = self.proxy.url()
        self.base_url = self.url + "/v1"

    def _run(self, binary, command, *args):
        process = Process(binary, command, "--listen", "127.0.0.1:0", *args)
        self._parts.append(process)
        return process

    def _tap(self, url):
        tap = Tap(url)
        self._parts.append(tap)
        return tap

    def _before(self, url):
        if self._front is None:
            return url
        self.front = self._front(url)
        self._parts.append(self.front)
        return self.front.url

    def wait_for_model(self):
        """Start order does not matter, but the relay has to have asked the instance once."""
        deadline = time.monotonic() + START_TIME
        while time.monotonic() < deadline:
            try:
                listed = fetch_json(self.relay.url() + "/v1/models")
                if {model["id"] for model in listed["data"]} >= self.labels:
                    return
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.05)
        raise AssertionError(f"the model is not listed after {START_TIME} s: {self.relay.lines}")

    def tally(self):
        """How many requests for text the model server has begun, ended and given up."""
        return fetch_json(self.upstream + "/tally")

    def usage(self):
        """The relay's sums over all accounts."""
        rows = fetch_json(self.relay.url() + "/usage")["usage"]
        names = ("requests", "tokens_in", "tokens_out", "receipts", "receipts_refused", "without_receipt")
        return {name: sum(row[name] for row in rows) for name in names}

    def usage_after(self, requests):
        """The sums once that many requests are in the book, which is written when a stream is over."""
        deadline = time.monotonic() + 10
        while (usage := self.usage())["requests"] < requests and time.monotonic() < deadline:
            time.sleep(0.02)
        return usage

    def stop(self):
        for part in reversed(self._parts):
            part.stop()


def flags(name, values):
    return [word for value in values for word in (name, value)]


def fetch_json(url, key=None):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return json.load(answer)
