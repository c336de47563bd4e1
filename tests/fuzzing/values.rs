//! Objects: their text, their tables; and line tables.

use super::input::Input;
use super::world::World;
use pyext::bytes::Addr;
use pyext::layout::LineTable;
use pyext::layout::opcodes::Opcodes;
use pyext::limits;
use pyext::objects::depth::Depths;
use pyext::objects::lines::Lines;
use pyext::objects::lookup::Attribute;
use pyext::objects::repr::Style;

/// Encoding, first line, then the table.
pub fn line_tables(data: &[u8]) {
    let mut input = Input(data);
    let encoding = match input.u8() % 4 {
        0 => LineTable::LnotabUnsigned,
        1 => LineTable::LnotabSigned,
        2 => LineTable::Lines310,
        _ => LineTable::Locations,
    };
    let first = input.word(&[]) as i64;
    let offset = input.word(&[]) as i64;
    let table = input.0;
    let lines = Lines::decode(table, encoding, first);
    assert_eq!(lines.at(-1), Some(first), "before the first instruction");
    for at in [0, 1, offset, i64::MAX, i64::MIN] {
        let _ = lines.at(at);
    }
    // An entry takes a byte at least and covers at most 255 bytes of code.
    let covered = table.len() as i64 * 255;
    assert!(matches!(encoding, LineTable::LnotabSigned | LineTable::LnotabUnsigned) || lines.at(covered + 1).is_none());
}

#[cfg(test)]
pub fn line_seeds() -> Vec<Vec<u8>> {
    // The examples of Objects/lnotab_notes.txt and of 3.11's locations; first line 10.
    let tables: [(u8, &[u8]); 4] = [
        (0, &[0, 1, 6, 1, 44, 5, 255, 0, 45, 200, 11, 1]),
        (1, &[4, 0xff, 6, 1]),
        (2, &[4, 1, 6, 0x80, 2, 0xfe]),
        (
            3,
            &[
                0x80 | 1,
                0x10,
                0x80 | 12 << 3,
                5,
                6,
                0x80 | 13 << 3,
                7,
                0x80 | 14 << 3,
                0x42,
                3,
                1,
                2,
                3,
                0x80 | 15 << 3,
            ],
        ),
    ];
    tables.iter().map(|(encoding, table)| [&[*encoding, 0, 10, 0, 0, 6, 0], *table].concat()).collect()
}

const VERSIONS: &[(u8, u8)] =
    &[(2, 7), (3, 6), (3, 7), (3, 8), (3, 9), (3, 10), (3, 11), (3, 12), (3, 13), (3, 14), (3, 15)];

/// A version, the size of the stack, the length of the exception table, that table, the instructions.
pub fn value_stack(data: &[u8]) {
    let mut input = Input(data);
    let (major, minor) = VERSIONS[usize::from(input.u8()) % VERSIONS.len()];
    let opcodes = Opcodes::of(major, minor).expect("a version with instructions");
    let stacksize = input.word(&[]) as u32;
    let length = usize::from(input.u16());
    let exceptions = input.take(length);
    let mut budget = limits::STACK_STATES_TOTAL;
    let Some(depths) = Depths::new(opcodes, input.0, exceptions, stacksize, &mut budget) else { return };
    assert!(depths.summary().0 <= stacksize, "the stack is never deeper than it says");
    for offset in (-1..=input.0.len() as i64).chain([i64::MIN, i64::MAX]) {
        for site in depths.at(offset) {
            assert!(depths.marks(site).iter().all(|mark| mark.at < site.depth));
        }
    }
}

#[cfg(test)]
pub fn code_seeds() -> Vec<Vec<u8>> {
    // A constant, returned; from 3.6 on in units of two bytes. Numbers of opcode.py of 2.7 and 3.6 to 3.10.
    let old = |version: u8, code: &[u8]| [&[version, 0, 4, 0, 0, 0], code].concat();
    let words: &[u8] = &[100, 0, 100, 1, 23, 0, 114, 12, 100, 0, 83, 0, 100, 0, 83, 0];
    let mut all = vec![old(0, &[100, 0, 0, 100, 1, 0, 23, 114, 13, 0, 100, 0, 0, 83])];
    all.extend((1..=10).map(|version| old(version, words)));
    // SETUP_FINALLY, POP_BLOCK, END_FINALLY of 3.6, and an exception table of 3.11.
    all.push(old(1, &[122, 4, 100, 0, 87, 0, 100, 0, 88, 0, 100, 0, 83, 0]));
    all.push([&[6, 0, 4, 0, 4, 0][..], &[0x80, 2, 4, 2], &[151, 0, 100, 0, 83, 0, 53, 0, 100, 0, 83, 0]].concat());
    all
}

/// A world, what may be shown, the changes to it.
pub fn object_repr(data: &[u8]) {
    let mut input = Input(data);
    let world = World::get(input.u8());
    let number = input.u8();
    let chars = match number {
        0 => limits::VALUE_CHARS_MAX,
        small => usize::from(small) * 16,
    };
    let bytes = world.changed(&mut input, &world.places);
    let objects = world.objects(bytes);
    objects.set_interpreters(vec![Addr(world.interpreter)]);
    // A quarter of them in each run: looking up takes longer than everything else.
    for (index, name) in world.attributes.iter().skip(usize::from(number) % 4).step_by(4) {
        if let Ok(Attribute::Value(value)) = objects.look_up(Addr(world.gallery[*index]), name) {
            let _ = objects.repr_value(&value, 64, Style::Pyext);
        }
    }
    let mut room = limits::VALUE_CHARS_MAX;
    for at in &world.objects {
        let at = Addr(*at);
        for style in [Style::Pyext, Style::Stock] {
            let text = objects.repr(at, chars.min(room), style).text;
            assert!(text.chars().count() <= chars + 16, "{} characters of {chars}", text.chars().count());
            room = room.saturating_sub(text.len());
        }
        let _ = objects.type_repr(at);
        let _ = objects.module_name(at);
        let _ = objects.attribute(at, "name");
        if let Ok(ty) = objects.type_of(at) {
            let _ = objects.class_name(&ty);
            let _ = objects.short_type_name(at, &ty);
        }
    }
}

/// As [`object_repr`], with all changes where dicts, sets and instances are.
pub fn dicts_and_sets(data: &[u8]) {
    let mut input = Input(data);
    let world = World::get(input.u8());
    let most = usize::from(input.u16());
    let bytes = world.changed(&mut input, &world.tables);
    let objects = world.objects(bytes);
    for at in &world.tables {
        let at = Addr(*at);
        let mut count = 0;
        let mut each = |_, _| {
            count += 1;
            count < most
        };
        let _ = objects.dict_each(at, &mut each);
        if let Ok((items, _)) = objects.dict(at, most) {
            assert!(items.len() <= most.max(1));
        }
        if let Ok((items, _)) = objects.set(at, most) {
            assert!(items.len() <= most);
        }
        let _ = objects.dict_get(at, "name");
        let _ = objects.attribute(at, "missing");
        if let Ok(ty) = objects.type_of(at) {
            let _ = objects.attributes_each(at, &ty, &mut |_, _| true);
            let _ = objects.has_attributes(at, &ty);
            let _ = objects.slots(at, &ty);
        }
        let _ = objects.repr(at, most, Style::Pyext);
    }
}

/// Each world as it is, and with one change.
#[cfg(test)]
pub fn world_seeds() -> Vec<Vec<u8>> {
    let labels = ["2.7.18", "3.6.15", "3.8.18", "3.10.13", "3.11.7", "3.12.1", "3.13.0", "3.14.10", "3.13.15t"];
    let of = |label: &&str| {
        let number = World::number(label);
        [vec![number, 64, 0], vec![number, 64, 2, 9, 0, 2, 0, 30, 0, 40, 0, 3, 0x70, 1, 19]]
    };
    labels.iter().flat_map(of).collect()
}
