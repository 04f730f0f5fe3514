//! The standard tools against pods and a Marathon that do as they are told: what they ask, in which order, and what they say.

mod deploying;
mod quirks;
mod reading;
mod steering;
mod world;
