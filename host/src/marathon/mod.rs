//! The client of Marathon.
