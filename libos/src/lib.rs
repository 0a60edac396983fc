//! The library OS image is the binary of this crate (feature `image`); see `main.rs`. This library target is empty, so
//! that the workspace builds and tests without the image's linker script.
