"""sealwire/1, written from the specification alone.  Sans-IO, deterministic (all coins are arguments).

For making and checking test vectors, and as a peer in interoperability tests: not constant-time, erases nothing.
"""
VERSION = "1.0.0"
