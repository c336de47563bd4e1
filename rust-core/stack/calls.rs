//! Which C function a Python frame has called, and on what object.
//!
//! Shown is what two witnesses agree on: the frame's value stack holds a built-in function, or a
//! method and its receiver, where the current instruction takes what it calls from; and the C
//! function behind it is one of those that run below that frame. Slots above the stack's top are
//! never looked at: they keep what earlier calls left there, and a stale `lock.acquire` names the
//! wrong lock. Where the depth of the stack or the instruction is not known, nothing is shown. Only
//! reads; what the values look like is `objects/repr.rs`'s.

use super::frame::Frame;
use crate::bytes::Addr;
use crate::image::unwind::NativeFrame;
use crate::layout::Frames;
use crate::layout::opcodes::Role;
use crate::limits;
use crate::objects::depth::{Mark, Site, Why};
use crate::objects::{Kind, Objects};

/// Slots below the top among which an exit function is when its `with` ends: above it lie an
/// exception and the one handled before it, three values each, or what leads elsewhere.
const EXIT_SLOTS: usize = 7;

/// A call into C.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// What was called, where it is an object on the value stack.
    pub callable: Option<Addr>,
    /// The object whose method it is.
    pub receiver: Option<Addr>,
    /// The method's name, where that of `callable` alone does not say whose method it is.
    pub name: Option<String>,
}

/// The value stack of a frame, from its bottom.
pub(super) struct Slots(pub(super) Vec<Addr>);

impl Slots {
    /// The slot `down` from the top, the topmost being 1; `None` for an empty one too.
    fn down(&self, depth: u32, down: i64) -> Option<Addr> {
        let index = i64::from(depth).checked_sub(down).filter(|_| down > 0)?;
        self.0.get(usize::try_from(index).ok()?).copied().filter(|a| a.is_plausible())
    }
}

impl Objects {
    /// What the frame has called, if one of the C frames `callees` below it proves it.
    pub fn called(&self, frame: &Frame, callees: &[NativeFrame]) -> Option<Called> {
        let functions: Vec<u64> = callees.iter().rev().filter_map(|n| n.function).collect();
        if functions.is_empty() {
            return None;
        }
        let code = frame.code.as_ref().ok()?;
        let offset = self.instruction_offset(frame.addr, code).ok()?;
        let depths = self.depths(code)?;
        let sites = depths.at(offset);
        let start = self.stack_start(frame)?;
        // 3.14 saves the stack's top before every call that can leave the evaluation function. Where it
        // is not where it has to be, the frame is not at the call that its instruction is.
        let saved = self.pointer(frame.addr, &self.layout.iframe.stackpointer).ok();
        if let Some(saved) = saved {
            let live = saved.0.checked_sub(start.0)? / 8;
            if sites.iter().any(|site| u64::from(site.depth) != live) {
                return None;
            }
        }
        let deepest = sites.last()?.depth;
        let slots = self.slots_from(start, usize::try_from(deepest).ok()?)?;
        // 3.8 and older, in a `finally`: several ways to have come there, and as many places where the
        // callable can lie. Of those that the slots allow one is the right one; where they lead to
        // different calls it cannot be told which.
        let mut ways = sites.iter().filter(|site| sites.len() == 1 || self.allowed(depths.marks(site), &slots));
        let called = self.called_at(ways.next()?, &slots, &functions);
        if ways.all(|site| self.called_at(site, &slots, &functions) == called) { called } else { None }
    }

    /// Whether the slots hold what the ways into handlers and `finally`s leave there.
    fn allowed(&self, marks: &[Mark], slots: &Slots) -> bool {
        let exception = self.layout.rules.opcodes.map_or(0, |opcodes| opcodes.exception);
        let kind = |index: u32| {
            let object = usize::try_from(index).ok().and_then(|i| slots.0.get(i)).copied();
            // An empty slot counts as None.
            object.and_then(|o| if o.is_null() { Some(Kind::None) } else { self.type_of(o).ok().map(|ty| ty.kind) })
        };
        let is_class = |index: u32| matches!(kind(index), Some(Kind::Type | Kind::OldClass));
        marks.iter().all(|mark| match mark.why {
            Why::Through => kind(mark.at) == Some(Kind::None),
            Why::Exception => is_class(mark.at.saturating_add(exception.saturating_sub(1))),
            Why::Handled => true,
            Why::Leaving(number) => matches!(kind(mark.at.saturating_add(number)), Some(Kind::Int | Kind::Int2)),
        })
    }

    /// What the instruction has called, its stack being as deep as the site says.
    fn called_at(&self, site: &Site, slots: &Slots, functions: &[u64]) -> Option<Called> {
        let slot = |down: i64| slots.down(site.depth, down);
        let method = |down: i64| {
            let receiver = if slot(down - 1).is_some() { down - 1 } else { down - 2 };
            self.proven(slot(down)?, slot(receiver), functions)
        };
        match site.role {
            Role::None | Role::Extended => None,
            Role::Call(callee) => {
                let down = callee.of(site.argument);
                self.proven(slot(down)?, slot(down - 1), functions)
            }
            Role::CallPacked(callee) => self.proven(slot(callee.of(site.argument))?, None, functions),
            Role::CallPair(callee) => method(callee.of(site.argument)),
            Role::CallMethod(callee) => {
                let down = callee.of(site.argument);
                if slot(down).is_some() {
                    method(down)
                } else {
                    self.proven(slot(down - 1)?, slot(down - 2), functions)
                }
            }
            Role::Enter => self.entered(slot(1)?, "__enter__", functions),
            Role::EnterAsync => self.entered(slot(1)?, "__aenter__", functions),
            Role::Exit => (1..=EXIT_SLOTS as i64).filter_map(slot).find_map(|object| {
                let is_exit = |name: String| name == "__exit__" || name == "__aexit__";
                let exit = self.is_builtin(object) && self.builtin_name(object).is_ok_and(is_exit);
                self.proven(object, None, functions).filter(|_| exit)
            }),
        }
    }

    /// The call of `object`, if its C function is one of `functions`. `receiver`: what it is a method
    /// of, if it is a method without one of its own.
    fn proven(&self, object: Addr, receiver: Option<Addr>, functions: &[u64]) -> Option<Called> {
        let builtin = self.is_builtin(object);
        let code = self.c_code(object)?;
        // The C function itself, or where a compiler has inlined that, the one by which such objects are
        // called (3.8, PEP 590).
        let slot = if builtin { &self.layout.cfunction.vectorcall } else { &self.layout.method_descr.vectorcall };
        let vectorcall = self.pointer(object, slot).map_or(code, |a| a.0);
        if !functions.contains(&code) && !functions.contains(&vectorcall) {
            return None;
        }
        if builtin {
            let own = self.pointer(object, &self.layout.cfunction.m_self).ok().and_then(Addr::non_null);
            return Some(Called { callable: Some(object), receiver: own, name: None });
        }
        let class = self.pointer(object, &self.layout.descr.d_type).ok()?;
        let receiver = receiver.filter(|receiver| self.is_instance(*receiver, class));
        let name = self.pointer(object, &self.layout.descr.d_name).and_then(|name| self.name(name)).ok();
        Some(Called { callable: Some(object), name: name.filter(|_| receiver.is_some()), receiver })
    }

    /// `with`: the call of the manager's `name`. `top`: the manager, or the bound exit function that
    /// has taken its place (3.11 and older, before the call).
    fn entered(&self, top: Addr, name: &str, functions: &[u64]) -> Option<Called> {
        let manager =
            if self.is_builtin(top) { self.pointer(top, &self.layout.cfunction.m_self).ok()?.non_null()? } else { top };
        let ty = self.type_of(manager).ok()?;
        let mro = self.pointer(ty.addr, &self.layout.ty.tp_mro).ok()?;
        let (classes, _) = self.tuple(mro, limits::BASES).ok()?;
        let code = classes.into_iter().find_map(|class| self.c_method(class, name))?;
        let called = || Called { callable: None, receiver: Some(manager), name: Some(name.to_owned()) };
        functions.contains(&code).then(called)
    }

    /// The C function that the type itself (not its bases) has as method `name`.
    pub(crate) fn c_method(&self, class: Addr, name: &str) -> Option<u64> {
        let class = self.type_at(class).ok()?;
        let table = self.pointer(class.addr, &self.layout.ty.tp_methods).ok()?.non_null()?;
        let def = &self.layout.method_def;
        let size = def.size.at().ok().filter(|size| *size > 0)?;
        for i in 0..limits::METHODS as u64 {
            let entry = table + i * size;
            let text = self.pointer(entry, &def.ml_name).ok()?.non_null()?;
            if self.memory.c_string(text).is_ok_and(|text| text == name) {
                return self.pointer(entry, &def.ml_meth).ok().map(|a| a.0);
            }
        }
        None
    }

    /// The address of the C function behind a callable object.
    fn c_code(&self, object: Addr) -> Option<u64> {
        let layout = &self.layout;
        let slot = match self.type_of(object).ok()?.kind {
            Kind::CFunction => &layout.cfunction.m_ml,
            Kind::MethodDescriptor => &layout.method_descr.d_method,
            _ => return None,
        };
        let def = self.pointer(object, slot).ok()?;
        self.pointer(def, &layout.method_def.ml_meth).ok().map(|a| a.0)
    }

    fn is_builtin(&self, object: Addr) -> bool {
        self.type_of(object).is_ok_and(|ty| ty.kind == Kind::CFunction)
    }

    fn is_instance(&self, object: Addr, class: Addr) -> bool {
        let Ok(ty) = self.type_of(object) else { return false };
        let mro = self.pointer(ty.addr, &self.layout.ty.tp_mro).and_then(|mro| self.tuple(mro, limits::BASES));
        ty.addr == class || mro.is_ok_and(|(classes, _)| classes.contains(&class))
    }

    /// Where the frame's value stack begins.
    pub(super) fn stack_start(&self, frame: &Frame) -> Option<Addr> {
        let code = frame.code.as_ref().ok()?;
        Some(match self.layout.rules.frames {
            Frames::Objects => self.pointer(frame.addr, &self.layout.frame.f_valuestack).ok()?,
            Frames::Interpreter { .. } => {
                frame.addr + self.layout.iframe.localsplus.at().ok()? + code.nlocalsplus?.checked_mul(8)?
            }
        })
    }

    pub(super) fn slots_from(&self, start: Addr, count: usize) -> Option<Slots> {
        let words = self.pointers(start, count.min(limits::STACK_SLOTS)).ok()?;
        let tag = !self.layout.rules.stackref_tag;
        Some(Slots(words.into_iter().map(|w| Addr(w.0 & tag)).collect()))
    }
}
