//! Values by address, for the debugger's own printers.

use super::attach::Attached;
use super::request::{Request, Response};
use crate::bytes::Addr;
use crate::limits;

/// The text of the object at the address that was asked for.
pub fn value(attached: &Attached, request: &Request) -> Response {
    let address = Addr(request.options.address.unwrap_or(0));
    let chars = request.options.chars.unwrap_or(limits::VALUE_CHARS);
    let repr = attached.objects.repr(address, chars, request.style());
    Response { text: repr.text, ..Response::default() }
}
