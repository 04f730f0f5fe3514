//! The built `ocho` against a small portal on a real socket.

mod conversation;
mod help;
mod init;
mod one_shot;
mod portal;
mod program;
mod runs;
mod signatures;
mod terminal;
mod trouble;
mod uploads;
