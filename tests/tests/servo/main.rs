//! The servo behind the built host: the rows of the reference's conformance matrix, jobs as records, hostile bundles.

mod bundle;
mod command;
mod examples;
mod hostile;
mod matrix;
mod records;
mod request;
mod secrets;
