//! Whole pods, with a real ZooKeeper.

mod http;
mod lab;

mod examples;
mod leading;
mod members;
mod mixed;
mod models;
mod original;
mod problems;
mod security;
mod timelines;
mod vectors;
