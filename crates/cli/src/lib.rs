//! The parts of the binary.
pub mod demo_model;
