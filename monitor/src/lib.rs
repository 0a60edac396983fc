//! The security monitor: creates all authority a picoprocess family has.
