//! sealwire http
