//! sealwire proxy
