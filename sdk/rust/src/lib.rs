//! What the author of a plugin sees: arguments, pods, Marathon, waiting and reports, over the contract in `wit/`.
//!
//! A plugin is a crate of type `cdylib` with two functions and one line:
//!
//! ```
//! use ocho_sdk::{Failure, Found, Report, Usage, pods};
//!
//! fn usage() -> Usage {
//!     Usage::new("count", "Count the pods of clusters.").optional("clusters", "cluster pattern, all by default")
//! }
//!
//! async fn run(args: Found) -> Result<Report, Failure> {
//!     let found = pods::find(&args.pattern("clusters")).await?;
//!     Ok(Report::text(format!("{} pods", found.len())))
//! }
//!
//! ocho_sdk::tool!(super::usage, super::run);
//! # fn main() {}
//! ```
//!
//! It imports what it calls and no more, and these imports are what its operator grants. Outside of WebAssembly the same
//! functions speak to the pretend cluster of a test ([`pretend`]).

pub mod args;
pub mod bring_up;
pub mod clock;
pub mod control;
mod entry;
pub mod files;
mod generated;
mod host;
pub mod image;
pub mod items;
pub mod job;
pub mod marathon;
mod note;
pub mod pods;
#[cfg(not(target_family = "wasm"))]
pub mod pretend;
pub mod proxy;
mod report;
#[cfg(not(target_family = "wasm"))]
pub mod scenes;
pub mod survey;
pub mod switch;
mod table;

pub use args::{Found, Kind, Selection, Usage};
pub use clock::{Deadline, pause, until};
pub use entry::{answer, enter};
pub use note::{debug, hint};
pub use ocho_core::{ClusterGlob, ClusterName, PodId, PodSeq, command_line, json};
pub use report::{Failure, Report};
pub use serde_json::{self, Map, Value, json};
pub use table::table;
#[doc(hidden)]
pub use wasip3;
