//! The Wayland display server of the library OS.
