//! Conformance: the cases of `vectors/v1` and `vectors/chutes` (embedded here, or from a folder), run against the library itself or against any program that
//! speaks the adapter protocol of `spec/conformance.md` section 3.
//!
//! ```text
//!  Suite (cases) --> verify --> Implementation --+-- Own: this library, with a provider
//!                       |                        +-- Adapter: another program, one JSON line in, one out
//!                       v
//!                    Report: table, JUnit, JSON
//! ```

pub mod accumulated;
pub mod adapter;
pub mod case;
pub mod explain;
pub mod implementation;
mod input;
pub mod own;
pub mod report;
pub mod serve;
pub mod verify;
