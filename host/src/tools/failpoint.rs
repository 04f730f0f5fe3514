//! Places where a test kills the host, to see what is left. Only in debug builds; releases have none.

/// Kills this process where `OCHOD_FAILPOINT` names this place.
#[cfg(debug_assertions)]
pub(super) fn reached(place: &str) {
    if std::env::var("OCHOD_FAILPOINT").is_ok_and(|named| named == place) {
        // As a power cut or the kernel would: nothing is flushed, nobody is told.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
    }
}

#[cfg(not(debug_assertions))]
pub(super) fn reached(_place: &str) {}
