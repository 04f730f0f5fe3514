//! The embedded registry on real sockets: the client that the host and the pods use, and raw frames for what no client
//! would send.

mod bounds;
mod clients;
mod raw;
mod restart;
mod server;
mod sessions;
mod watches;
mod words;
