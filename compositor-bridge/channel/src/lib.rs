//! The remote-display channel: messages between the display server and the bridge.
