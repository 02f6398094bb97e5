//! sealwire relay
