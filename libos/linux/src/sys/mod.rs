//! Time, limits, identity and the rest.
