//! The bodies of the messages.

mod input;
mod selection;
mod session;
mod surface;

use crate::limit;
pub use input::*;
pub use selection::*;
pub use session::*;
pub use surface::*;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

macro_rules! body {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* } check |$me:ident| $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

        impl Body for $name {
            fn check(&self) -> bool {
                let $me = self;
                $check
            }
        }
    };
}
use body;

/// A rectangle: position and size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Rect {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width; 0 = nothing.
    pub width: i32,
    /// Height; 0 = nothing.
    pub height: i32,
}

fn in_range(value: i32) -> bool {
    (-limit::SIZE..=limit::SIZE).contains(&value)
}

fn is_size(value: i32) -> bool {
    (0..=limit::SIZE).contains(&value)
}

impl Rect {
    fn is_sane(&self) -> bool {
        in_range(self.x) && in_range(self.y) && is_size(self.width) && is_size(self.height)
    }
}
