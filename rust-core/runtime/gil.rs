//! Who holds the GIL, and whether garbage is being collected.

use super::Runtime;
use crate::bytes::Addr;
use crate::error::Result;
use crate::layout::GilPlace;
use crate::locate::gc_flag;
use crate::objects::Objects;

/// Fills in the holders and the collection flags of `runtime`.
pub(super) fn read(objects: &Objects, runtime: &mut Runtime) {
    let layout = &objects.layout;
    let one_for_all = global_holder(objects, runtime.addr);
    let collecting_for_all =
        runtime.addr.and_then(|addr| objects.uint(addr, &layout.runtime.gc_collecting).ok()).map(|v| v != 0);
    let collecting_for_all = collecting_for_all.or_else(|| static_flag(objects));
    if layout.rules.gil == GilPlace::ImageData {
        runtime.gils.extend(objects.located.image.data.iter().map(|(start, end)| (Addr(*start), end - start)));
    }
    let gil_size = layout.gil.size.at().unwrap_or(0);
    if let (Some(addr), Ok(offset)) = (runtime.addr, layout.runtime.gil.at()) {
        runtime.gils.push((addr + offset, gil_size));
    }
    for interpreter in &mut runtime.interpreters {
        interpreter.collecting =
            objects.uint(interpreter.addr, &layout.interp.gc_collecting).ok().map(|v| v != 0).or(collecting_for_all);
        interpreter.gil_holder = match objects.pointer(interpreter.addr, &layout.interp.gil) {
            Ok(gil) if gil.is_plausible() => {
                if !runtime.gils.iter().any(|(known, _)| *known == gil) {
                    runtime.gils.push((gil, gil_size));
                }
                holder_of(objects, gil).ok().flatten()
            }
            _ => one_for_all,
        };
    }
    for thread in &mut runtime.threads {
        let interpreter = runtime.interpreters.iter().find(|i| i.addr == thread.interpreter);
        thread.holds_gil = interpreter.and_then(|i| i.gil_holder) == Some(thread.addr);
    }
}

/// 3.6 and older: a static variable, by its symbol or from the code that sets it.
fn static_flag(objects: &Objects) -> Option<bool> {
    let image = &objects.located.image;
    if objects.layout.interp.gc_collecting.exists() || objects.layout.runtime.gc_collecting.exists() {
        return None;
    }
    let flag =
        image.symbol("collecting").or_else(|| gc_flag::find(image, image.symbol("PyGC_Collect")?, &objects.memory))?;
    objects.memory.uint(flag, 4).ok().map(|value| value != 0)
}

/// 3.12 and later: the GIL is locked, and `last_holder` has it.
fn holder_of(objects: &Objects, gil: Addr) -> Result<Option<Addr>> {
    let layout = &objects.layout.gil;
    Ok(if objects.uint(gil, &layout.locked)? == 1 {
        objects.pointer(gil, &layout.last_holder)?.non_null()
    } else {
        None
    })
}

/// 3.11 and older: the current thread state of the one GIL.
fn global_holder(objects: &Objects, runtime: Option<Addr>) -> Option<Addr> {
    if let Some(addr) = runtime
        && let Ok(current) = objects.pointer(addr, &objects.layout.runtime.tstate_current)
    {
        return current.non_null();
    }
    let symbol = objects.located.image.symbol("_PyThreadState_Current")?;
    objects.memory.pointer(symbol).ok()?.non_null()
}
