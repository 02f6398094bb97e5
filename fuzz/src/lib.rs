//! What the fuzz targets share: a driver of openers, reference models of sealer and receiver, fixtures, mutations.

#[cfg(feature = "attest")]
pub mod attest;
pub mod chutes;
pub mod drive;
pub mod fixture;
pub mod model;
pub mod mutate;
pub mod seal;
pub mod wire;
