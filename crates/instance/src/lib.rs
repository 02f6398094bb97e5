//! sealwire instance
