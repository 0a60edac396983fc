//! The smaller protocols, request by request, each handed to the module that knows it.

use crate::client::ClientId;
use crate::object::{Kind, Token};
use crate::shell::{Done, Failure};
use crate::wire::Reader;
use crate::{Display, Platform};

impl<P: Platform> Display<P> {
    pub(crate) fn extra_request(
        &mut self,
        platform: &mut P,
        id: ClientId,
        object: u32,
        version: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        let Some(kind) = self.kind_of(id, object).cloned() else { return Ok(()) };
        match (kind, opcode) {
            (Kind::Seat, _) => self.seat_request(platform, id, object, version, opcode, r),
            (Kind::Pointer, 0) => self.pointer_picture(id, object, r),
            (Kind::CursorShapeManager, 1) => self.new_cursor_shape(id, version, r),
            (Kind::CursorShapeDevice, 1) => self.set_cursor_shape(id, object, version, r),
            (
                Kind::DataDeviceManager
                | Kind::DataDevice
                | Kind::DataSource(_)
                | Kind::DataOffer(_)
                | Kind::PrimaryManager
                | Kind::PrimaryDevice
                | Kind::PrimarySource(_)
                | Kind::PrimaryOffer(_),
                _,
            ) => self.data_request(platform, id, object, version, opcode, r),
            (Kind::XdgOutputManager, 1) => {
                let (new, output) = (r.u32()?, r.u32()?);
                let Some(Kind::Output(number)) = self.kind_of(id, output) else {
                    return Err(Failure::Malformed);
                };
                let number = *number;
                self.create(id, new, Kind::XdgOutput(number), version)?;
                self.describe_output(id, new);
                Ok(())
            }
            (Kind::Viewporter, 1) => self.new_viewport(id, object, version, r),
            (Kind::Viewport(number), _) => self.viewport_request(id, object, number, opcode, r),
            (Kind::SinglePixelManager, 1) => self.new_pixel(id, r),
            (Kind::DecorationManager, 1) | (Kind::KdeDecorationManager, _) => {
                self.make_decoration(id, object, opcode, version, r)
            }
            (Kind::Decoration(number), _) => self.decoration_request(id, object, number, opcode, r),
            (Kind::KdeDecoration(number), _) => self.kde_decoration_request(id, object, number, opcode, r),
            (Kind::Activation, 1) => {
                let new = r.u32()?;
                self.create(id, new, Kind::ActivationToken(Token::default()), version)
            }
            (Kind::Activation, 2) => self.activate(id, r),
            (Kind::ActivationToken(token), _) => self.token_request(id, object, token, opcode, r),
            (Kind::Bell, 1) => self.ring(id, r),
            (Kind::FractionalScaleManager, 1) => self.new_fractional_scale(id, object, version, r),
            (Kind::FractionalScale(number), _) => self.fractional_scale_request(id, object, number, opcode),
            (Kind::TextInputManager, 1) => self.new_text_input(id, version, r),
            (Kind::TextInput, _) => self.text_input_request(id, object, opcode, r),
            (Kind::IdleInhibitManager, 1) => self.new_idle_inhibitor(id, version, r),
            (Kind::IdleInhibitor(number), 0) => {
                self.destroy_idle_inhibitor(id, object, number);
                Ok(())
            }
            (Kind::ShortcutsInhibitManager, 1) => self.new_shortcuts_inhibitor(id, object, version, r),
            (Kind::ShortcutsInhibitor(number), 0) => {
                self.destroy_shortcuts_inhibitor(id, object, number);
                Ok(())
            }
            (Kind::PointerConstraints, 1 | 2) => self.new_constraint(id, object, opcode, version, r),
            (Kind::LockedPointer(number) | Kind::ConfinedPointer(number), _) => {
                self.constraint_request(id, object, number, opcode, r)
            }
            (Kind::RelativePointerManager, 1) => self.new_relative_pointer(id, version, r),
            (Kind::Presentation, 1) => self.new_feedback(id, version, r),
            (Kind::Exporter, 1) => self.export(id, object, version, r),
            (Kind::Exported(number), 0) => {
                self.destroy(id, object);
                self.withdraw_export(number);
                Ok(())
            }
            (Kind::Importer, 1) => self.import(id, version, r),
            (Kind::Imported(number), _) => self.imported_request(id, object, number, opcode, r),
            (Kind::DialogManager, 1) => self.new_dialog(id, object, version, r),
            (Kind::Dialog(number), _) => self.dialog_request(id, object, number, opcode),
            (Kind::IconManager, _) => self.icon_manager_request(id, object, version, opcode, r),
            (Kind::Icon(icon), _) => self.icon_request(id, object, icon, opcode, r),
            (Kind::Callback | Kind::Registry | Kind::PresentationFeedback, _) => Err(Failure::Malformed),
            // What is left are destructors: release of input objects, destroy of the rest.
            (Kind::Pointer, 1) | (_, 0) => {
                self.destroy(id, object);
                Ok(())
            }
            _ => Err(Failure::Malformed),
        }
    }
}
