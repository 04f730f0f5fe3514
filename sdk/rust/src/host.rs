//! Where the questions of a plugin go: to the host, or outside of WebAssembly to the pretend cluster of a test.

#[cfg(target_family = "wasm")]
pub(crate) use crate::generated::ocho::marathon::{inspect, operate};
#[cfg(target_family = "wasm")]
pub(crate) use crate::generated::ocho::pods::{control, exec, observe, registry, secrets};
#[cfg(target_family = "wasm")]
pub(crate) use crate::generated::ocho::proxy::{shell, shell_blocking};
#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::pretend::host::{control, exec, inspect, observe, operate, registry, secrets, shell, shell_blocking};
