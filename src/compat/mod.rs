//! Sibling protocols of sealwire/1: each with its own types, over the same crypto providers. None is ever negotiated into or out of.

pub mod chutes;
