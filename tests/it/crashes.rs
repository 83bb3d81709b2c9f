//! Workers that die.
