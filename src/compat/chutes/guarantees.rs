//! What the profile gives and what its wire format cannot, as data: for programs, documentation and the attack table.

/// One property, at both kinds of peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guarantee {
    /// A stable name.
    pub name: &'static str,
    /// Between this library and a peer of the deployed kind.
    pub deployed_peer: Holds,
    /// Where both ends are of this library (section 6).
    pub both_ends: Holds,
    /// What it means.
    pub meaning: &'static str,
}

/// Whether a property holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// It does.
    Yes,
    /// Only as far as the meaning says.
    Partly,
    /// The wire format cannot give it.
    No,
}

/// Every property that sealwire/1 has, and how it fares here.
pub const GUARANTEES: &[Guarantee] = &[
    Guarantee {
        name: "request-secrecy",
        deployed_peer: Holds::Partly,
        both_ends: Holds::Partly,
        meaning: "only a holder of the instance's key reads a request; whose key it is, evidence says, which the client verifies before it sends",
    },
    Guarantee {
        name: "response-secrecy",
        deployed_peer: Holds::Yes,
        both_ends: Holds::Yes,
        meaning: "only this client reads the response: a fresh key pair for each request",
    },
    Guarantee {
        name: "request-forward-secrecy",
        deployed_peer: Holds::No,
        both_ends: Holds::Partly,
        meaning: "a request is sealed to one key for many: whoever gets it later reads what was recorded; instances of this library erase it after its lifetime",
    },
    Guarantee {
        name: "response-authenticity",
        deployed_peer: Holds::Partly,
        both_ends: Holds::Partly,
        meaning: "a response is sealed to a public key that travels inside the request: only who opened the request can answer, and nothing else ties the answer to the instance",
    },
    Guarantee {
        name: "relay-text-is-not-output",
        deployed_peer: Holds::Yes,
        both_ends: Holds::Yes,
        meaning: "nothing that the relay says in clear becomes model output, ends a stream as complete, or stands as an error of the model",
    },
    Guarantee {
        name: "stream-order",
        deployed_peer: Holds::Partly,
        both_ends: Holds::Yes,
        meaning: "chunks have no number on the wire: at a deployed peer an exchange of two chunks is noticed only if the token counter inside goes backwards",
    },
    Guarantee {
        name: "stream-no-duplicate",
        deployed_peer: Holds::Yes,
        both_ends: Holds::Yes,
        meaning: "a chunk that comes twice is refused by its nonce",
    },
    Guarantee {
        name: "stream-no-gap",
        deployed_peer: Holds::No,
        both_ends: Holds::Yes,
        meaning: "at a deployed peer a chunk that is left out is not noticed, unless the server counts every token in a chunk of its own and the client was told so",
    },
    Guarantee {
        name: "stream-truncation",
        deployed_peer: Holds::Yes,
        both_ends: Holds::Yes,
        meaning: "a stream counts as complete only behind a sealed [DONE]",
    },
    Guarantee {
        name: "request-replay",
        deployed_peer: Holds::No,
        both_ends: Holds::Yes,
        meaning: "a deployed instance runs a recorded request again; one of this library accepts it once",
    },
    Guarantee {
        name: "path",
        deployed_peer: Holds::No,
        both_ends: Holds::Yes,
        meaning: "the path travels in clear, and a deployed instance asks whatever path the relay names; one of this library compares it with what the client sealed",
    },
    Guarantee {
        name: "stream-flag",
        deployed_peer: Holds::Yes,
        both_ends: Holds::Yes,
        meaning: "the stream flag travels in clear; an answer of the other kind is refused, and an instance of this library refuses the request",
    },
    Guarantee {
        name: "status",
        deployed_peer: Holds::No,
        both_ends: Holds::Yes,
        meaning: "status and media type of the model server's answer are not carried; ends of this library carry them sealed",
    },
    Guarantee {
        name: "usage",
        deployed_peer: Holds::No,
        both_ends: Holds::No,
        meaning: "token counts travel in clear and unsigned: the relay can read them as they grow, and bill what it likes",
    },
    Guarantee {
        name: "lengths",
        deployed_peer: Holds::No,
        both_ends: Holds::No,
        meaning: "one event for each line with its exact length shows the lengths of tokens and their times",
    },
];
