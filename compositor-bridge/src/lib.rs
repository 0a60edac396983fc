//! The compositor bridge: shows an app's surfaces in the user's Wayland session.
