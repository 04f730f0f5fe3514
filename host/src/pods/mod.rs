//! The client of the pods' control ports.
