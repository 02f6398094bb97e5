//! The HTTP carriage of sealwire (`spec/http.md`): everything that a client, a relay and an instance must agree on around the protocol itself.
//!
//! The modules outside [`net`] hold no socket, read no clock and start no task, so they compile for any target with `std`:
//!
//! * [`carriage`]: paths, header fields, media types, the context header;
//! * [`problem`]: the closed list of relay-plane errors, as RFC 9457 problem documents;
//! * [`discovery`]: the JSON of bundle discovery and of an instance's description;
//! * [`evidence`]: the query of an instance's evidence;
//! * [`message`]: RFC 9292 binary HTTP of indeterminate length, bounded and incremental;
//! * [`inner`]: what the sealed request head may carry, and the two fields that sealwire adds;
//! * [`forward`]: what an instance passes on to its model server;
//! * [`access`]: keys that a server asks for;
//! * [`pacing`]: coalescing and constant rate, with time as an argument;
//! * [`sse`]: splitting of server-sent events;
//! * [`json_body`]: the top level of an API request's JSON;
//! * [`sealed`]: from frames to the pieces of a sealed message;
//! * [`openai`]: the error and list shapes of the OpenAI API;
//! * [`usage`]: token counts;
//! * [`profile`]: the names of profiles;
//! * [`chutes`]: the carriage of the profile chutes-v1.
//!
//! The feature `net` adds the server loop and the client on tokio and hyper.

pub mod access;
pub mod carriage;
pub mod chutes;
pub mod discovery;
pub mod evidence;
pub mod forward;
pub mod inner;
pub mod json_body;
pub mod message;
#[cfg(feature = "net")]
pub mod net;
pub mod openai;
pub mod pacing;
pub mod problem;
pub mod profile;
pub mod sealed;
pub mod sse;
pub mod usage;
