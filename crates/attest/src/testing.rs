//! Test makers.
