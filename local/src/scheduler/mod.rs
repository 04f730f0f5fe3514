//! Runs applications as local processes and answers as Marathon does.
