//! The registry of pods, read by ZooKeeper's protocol.
