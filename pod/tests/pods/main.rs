//! Whole pods, with a real ZooKeeper.

mod http;
mod lab;

mod examples;
mod leading;
mod members;
mod models;
mod problems;
mod security;
mod timelines;
mod vectors;
