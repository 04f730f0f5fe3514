//! What every part of ocho means by its words: names, pod registrations, command lines, signatures.
//!
//! Plain values only: no I/O, no clock, no HTTP words. The feature `crypto` adds [`signature`] and [`aes`], which guests leave out.

#[cfg(feature = "crypto")]
pub mod aes;
pub mod command_line;
pub mod glob;
pub mod grants;
pub mod json;
pub mod masking;
pub mod names;
pub mod registration;
#[cfg(feature = "crypto")]
pub mod signature;
pub mod tools;

pub use glob::ClusterGlob;
pub use grants::{Grants, Interface, UnknownInterface};
pub use names::{ClusterName, PodId, PodSeq, ToolName};
pub use registration::Registration;
