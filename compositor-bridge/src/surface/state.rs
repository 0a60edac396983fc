//! Double-buffered surface state: from a commit message to requests, only what changed.

use super::Surface;
use crate::bridge::Bridge;
use crate::config::{BridgeError, malformed};
use crate::host::globals::{FrameOf, Globals};
use postern_channel::{Commit, CommitFlag, Rect, Rect256, Role};
use wayland_client::protocol::{wl_output, wl_region, wl_surface};
use wayland_client::{Proxy, QueueHandle};

/// The size of a surface in its own units, if it has a buffer.
pub fn surface_size(commit: &Commit) -> Option<(i32, i32)> {
    if commit.flags & CommitFlag::BUFFER == 0 {
        return None;
    }
    let [width, height] = commit.destination;
    if width > 0 && height > 0 {
        return Some((width, height));
    }
    if commit.source.width > 0 {
        return Some((commit.source.width / 256, commit.source.height / 256));
    }
    Some(buffer_size(commit))
}

/// The size of the buffer in surface units.
fn buffer_size(commit: &Commit) -> (i32, i32) {
    let scale = commit.scale.max(1);
    let (width, height) = (commit.width / scale, commit.height / scale);
    if commit.transform % 2 == 1 { (height, width) } else { (width, height) }
}

/// Checks what the compositor would otherwise end the whole connection for.
pub fn check_viewport(commit: &Commit) -> Result<(), BridgeError> {
    let [width, height] = commit.destination;
    if (width > 0) != (height > 0) {
        return Err(malformed("a viewport destination without width or height"));
    }
    let Rect256 { x, y, width, height } = commit.source;
    if (width > 0) != (height > 0) {
        return Err(malformed("a viewport source without width or height"));
    }
    if width == 0 || commit.flags & CommitFlag::BUFFER == 0 {
        return Ok(());
    }
    let (most_x, most_y) = buffer_size(commit);
    // All terms are at most 2^14 * 2^8.
    if x + width > most_x * 256 || y + height > most_y * 256 {
        return Err(malformed("a viewport source outside of the buffer"));
    }
    if commit.destination[0] == 0 && (width % 256 != 0 || height % 256 != 0) {
        return Err(malformed("a viewport source of broken size without destination"));
    }
    Ok(())
}

/// The smallest rectangle around both.
pub fn union(a: Option<Rect>, b: Rect) -> Option<Rect> {
    if b.width <= 0 || b.height <= 0 {
        return a;
    }
    let Some(a) = a else { return Some(b) };
    let (x, y) = (a.x.min(b.x), a.y.min(b.y));
    let right = a.x.saturating_add(a.width).max(b.x.saturating_add(b.width));
    let bottom = a.y.saturating_add(a.height).max(b.y.saturating_add(b.height));
    Some(Rect { x, y, width: right.saturating_sub(x), height: bottom.saturating_sub(y) })
}

fn region(globals: &Globals, queue: &QueueHandle<Bridge>, rect: Rect) -> wl_region::WlRegion {
    let region = globals.compositor.create_region(queue, ());
    region.add(rect.x, rect.y, rect.width, rect.height);
    region
}

impl Surface {
    /// Brings the compositor's side up to the last commit, and commits there. Returns whether there was a new buffer.
    pub fn push(&mut self, number: u32, globals: &Globals, queue: &QueueHandle<Bridge>) -> bool {
        let (Some(last), Some(host)) = (self.last, self.host.as_mut()) else { return false };
        let before = host.applied;
        let changed = |differs: fn(&Commit, &Commit) -> bool| before.is_none_or(|b| differs(&b, &last));
        let surface = &host.surface;
        let has_buffer = last.flags & CommitFlag::BUFFER != 0;
        let had_buffer = before.is_some_and(|before| before.flags & CommitFlag::BUFFER != 0);
        let next = self.next.take();
        let is_new = next.is_some();
        let (x, y) = icon_offset(before.as_ref(), &last);
        let has_offset = surface.version() >= wl_surface::REQ_OFFSET_SINCE;
        if has_offset && (x, y) != (0, 0) {
            surface.offset(x, y);
        }
        if let Some(next) = next {
            let (x, y) = if has_offset { (0, 0) } else { (x, y) };
            surface.attach(Some(&next.buffer), x, y);
            host.held.push(next);
            host.since_frame = host.since_frame.saturating_add(1);
        } else if had_buffer && !has_buffer {
            surface.attach(None, 0, 0);
        }
        if changed(|b, c| b.scale != c.scale) {
            surface.set_buffer_scale(last.scale);
        }
        if changed(|b, c| b.transform != c.transform)
            && let Ok(transform) = wl_output::Transform::try_from(last.transform)
        {
            surface.set_buffer_transform(transform);
        }
        if has_buffer && changed(|b, c| (b.source, b.destination) != (c.source, c.destination)) {
            set_viewport(host, &last, globals, queue);
        }
        let surface = &host.surface;
        if changed(|b, c| b.opaque != c.opaque) {
            let opaque = region(globals, queue, last.opaque);
            surface.set_opaque_region(Some(&opaque));
            opaque.destroy();
        }
        let input = |c: &Commit| (c.flags & CommitFlag::INPUT_REGION != 0).then_some(c.input);
        if before.is_none_or(|before| input(&before) != input(&last)) {
            let input = input(&last).map(|input| region(globals, queue, input));
            surface.set_input_region(input.as_ref());
            if let Some(input) = input {
                input.destroy();
            }
        }
        if before.is_none() {
            surface.damage_buffer(0, 0, i32::MAX, i32::MAX);
        } else if let Some(damage) = self.damage {
            surface.damage_buffer(damage.x, damage.y, damage.width, damage.height);
        }
        self.damage = None;
        if let Some(shell) = host.shell()
            && last.geometry.width > 0
            && last.geometry.height > 0
            && changed(|b, c| b.geometry != c.geometry)
        {
            let Rect { x, y, width, height } = last.geometry;
            shell.object.set_window_geometry(x, y, width, height);
        }
        if self.frame_wanted && host.callback.is_none() {
            host.callback = Some(host.surface.frame(queue, FrameOf(number)));
            self.frame_wanted = false;
        }
        host.surface.commit();
        host.applied = Some(last);
        is_new
    }
}

/// How far a drag icon goes from where it was.
fn icon_offset(before: Option<&Commit>, last: &Commit) -> (i32, i32) {
    if last.role != Role::DRAG_ICON {
        return (0, 0);
    }
    let [x, y] = before.map_or([0, 0], |before| before.position);
    (last.position[0].saturating_sub(x), last.position[1].saturating_sub(y))
}

fn set_viewport(host: &mut super::Host, last: &Commit, globals: &Globals, queue: &QueueHandle<Bridge>) {
    let Some(viewporter) = &globals.viewporter else { return };
    if host.viewport.is_none() && last.source.width == 0 && last.destination[0] == 0 {
        return;
    }
    let viewport = host.viewport.get_or_insert_with(|| viewporter.get_viewport(&host.surface, queue, ()));
    if last.source.width > 0 {
        let [x, y, width, height] = [last.source.x, last.source.y, last.source.width, last.source.height]
            .map(|value| f64::from(value) / 256.0);
        viewport.set_source(x, y, width, height);
    } else {
        viewport.set_source(-1.0, -1.0, -1.0, -1.0);
    }
    match last.destination {
        [0, _] => viewport.set_destination(-1, -1),
        [width, height] => viewport.set_destination(width, height),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_buffer(width: i32, height: i32) -> Commit {
        Commit { flags: CommitFlag::BUFFER, width, height, ..Commit::empty(1) }
    }

    #[test]
    fn sizes_follow_scale_transform_and_viewport() {
        let mut commit = with_buffer(400, 200);
        assert_eq!(surface_size(&commit), Some((400, 200)));
        commit.scale = 2;
        commit.transform = 1;
        assert_eq!(surface_size(&commit), Some((100, 200)));
        commit.source = Rect256 { x: 0, y: 0, width: 50 * 256, height: 20 * 256 };
        assert_eq!(surface_size(&commit), Some((50, 20)));
        commit.destination = [7, 8];
        assert_eq!(surface_size(&commit), Some((7, 8)));
        assert_eq!(surface_size(&Commit::empty(1)), None);
    }

    #[test]
    fn viewports_that_a_compositor_would_refuse_are_refused_here() {
        let source = |x, width| Rect256 { x, y: 0, width, height: 256 };
        let check = |source, destination| {
            check_viewport(&Commit { source, destination, ..with_buffer(10, 10) }).is_ok()
        };
        assert!(check(source(0, 2560), [0, 0]));
        assert!(!check(source(1, 2560), [0, 0]), "outside");
        assert!(!check(source(0, 100), [0, 0]), "broken size");
        assert!(check(source(0, 100), [5, 5]));
        assert!(!check(source(0, 0), [5, 5]), "height without width");
        assert!(!check(Rect256::default(), [5, 0]));
    }

    #[test]
    fn damage_adds_up() {
        let rect = |x, y, width, height| Rect { x, y, width, height };
        assert_eq!(union(None, rect(1, 1, 0, 5)), None);
        assert_eq!(union(None, rect(1, 2, 3, 4)), Some(rect(1, 2, 3, 4)));
        assert_eq!(union(Some(rect(0, 0, 2, 2)), rect(5, 6, 1, 1)), Some(rect(0, 0, 6, 7)));
    }
}
