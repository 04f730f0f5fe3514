//! The embedded registry: a server of ZooKeeper's wire protocol.
