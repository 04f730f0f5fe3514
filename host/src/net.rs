//! Words about addresses and failed connections.

use std::io;

/// Why a connection failed, as a fragment for people: without the operating system's number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// What stands behind the credentials of an address, for texts that people see.
pub(crate) fn without_user(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(_, rest)| rest)
}

/// An address where nobody listens. Its port is held for as long as the tests run, so that nobody will.
#[cfg(test)]
pub(crate) fn nobody() -> std::net::SocketAddr {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("the loopback has a free port");
    let address = socket.local_addr().expect("a bound socket has an address");
    std::mem::forget(socket);
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_fragments() {
        assert_eq!(reason(&io::Error::from_raw_os_error(111)), "connection refused");
        assert_eq!(reason(&io::Error::other("x")), "x");
        assert_eq!(reason(&io::Error::other("")), "");
    }
}
