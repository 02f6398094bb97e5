"""The demo model, the upstream before it, and instances and relays that are started when a test first needs them."""

import time
import urllib.error

from peers import LABEL, Client, Instance
from system import Process, Tap, fetch_json
from upstream import Upstream

RELAY_KEY = "a-key-of-the-relay"
START_TIME = 20.0


class World:
    def __init__(self, binary):
        self._binary = binary
        self._parts = []
        self._instances = {}
        self.exchanges = 0
        self._names = 0
        try:
            # One millisecond: the demo model is here for its text; the steps are shown by the gates.
            self.model = self.run("demo-model", "--model", LABEL, "--token-delay-ms", "1")
            self.upstream = Upstream(self.model.url())
            self._parts.append(self.upstream)
        except BaseException:
            self.stop()
            raise

    def run(self, subcommand, *arguments):
        process = Process(self._binary, subcommand, "--listen", "127.0.0.1:0", *arguments)
        self._parts.append(process)
        return process

    def fresh_name(self):
        self._names += 1
        return f"gate-{self._names}"

    def instance(self, name, upstream=None):
        """An instance and the relay before it, shared by all tests with this upstream."""
        upstream = upstream or self.upstream.url
        if (name, upstream) not in self._instances:
            self._instances[name, upstream] = self.own_instance(name, upstream)
        return self._instances[name, upstream]

    def own_instance(self, name, upstream=None):
        """An instance that the test may break."""
        instance = Instance(name, upstream or self.upstream.url)
        self._parts.append(instance)
        relay = self.run("relay", "--instance", instance.url, "--api-key", RELAY_KEY)
        instance.relay_url = relay.url()
        deadline = time.monotonic() + START_TIME
        while time.monotonic() < deadline:
            try:
                listed = fetch_json(instance.relay_url + "/v1/models", key=RELAY_KEY)
                if any(model["id"] == LABEL for model in listed["data"]):
                    return instance
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.02)
        raise AssertionError(f"the relay does not find the {name} instance: {relay.lines} {instance.process.lines}")

    def ask(self, name, instance, route, suite, body, identity=None, **how):
        """One exchange by "relay" or "direct", with a tap behind the client."""
        tap = Tap(instance.relay_url if route == "relay" else instance.url)
        self._parts.append(tap)
        key = RELAY_KEY if route == "relay" else None
        client = Client(name, tap.url, suite, identity or instance.identity, body, key=key, **how)
        client.tap = tap
        self._parts.append(client)
        self.exchanges += 1
        return client

    def stop(self):
        for part in reversed(self._parts):
            part.stop()
