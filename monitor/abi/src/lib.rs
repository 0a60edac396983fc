//! The wall: downcalls, upcalls and the start-up block shared by the library OS and the monitor.
