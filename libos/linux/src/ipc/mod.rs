//! Pipes, sockets, polling, terminals.
