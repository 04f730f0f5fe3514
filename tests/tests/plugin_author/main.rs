//! What the author of a plugin does: the guide to the letter, the other flavours of the scaffold, `dev`, and components in files.

mod dev;
mod files;
mod flavours;
mod guide;
mod operate;
mod strangers;
