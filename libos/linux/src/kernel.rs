//! Where the platform layer calls in.
