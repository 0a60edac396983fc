//! The library OS image.
