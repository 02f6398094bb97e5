//! End-to-end sealed streaming.
#![no_std]
