//! From one state of the tree to the next: what a change means, in which steps, and how far it has come.

pub(crate) mod change;
pub(crate) mod plan;
pub(crate) mod run;
