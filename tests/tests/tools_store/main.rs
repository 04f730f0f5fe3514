//! `/v1/tools`: installing, granting, replacing, rolling back and removing tools of a running host.

mod api;
mod components;
mod crashing;
mod granting;
mod hostile;
mod installing;
mod keys;
mod limits;
mod replacing;
mod signing;
mod storm;
