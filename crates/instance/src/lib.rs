//! The instance.
mod inner_body;
mod upstream;
mod usage;
