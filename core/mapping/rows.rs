//! A document in slots: the values that a mapping reads, item by item.

use crate::layout::Layout;
use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use std::borrow::Cow;
use std::cell::Cell;

/// The value of a field.
#[derive(Debug)]
pub enum Slot<'d> {
    /// Not there, null, or an empty text.
    Absent,
    Text(Cow<'d, str>),
    /// A number by its text.
    Number(Cow<'d, str>),
    Bool(bool),
    Record,
    List(Box<Rows<'d>>),
    /// An array or object where a scalar is read, or the other way round; what was found.
    Wrong(&'static str),
}

/// An intermediate result that is worth keeping.
#[derive(Debug, Clone, Copy)]
pub enum Memo {
    Empty,
    Number(Decimal),
    Date(Date),
    Time(Timestamp),
}

/// Items of one list, their slots one after the other. The document itself is one item.
#[derive(Debug)]
pub struct Rows<'d> {
    slots: Vec<Slot<'d>>,
    memos: Vec<Cell<Memo>>,
    width: usize,
    memo_width: usize,
    /// How many items there are.
    pub count: usize,
    /// The first item that is no object.
    pub odd: Option<usize>,
}

impl<'d> Rows<'d> {
    /// No item yet.
    pub fn new(layout: &Layout) -> Rows<'d> {
        Rows {
            slots: Vec::new(),
            memos: Vec::new(),
            width: layout.width,
            memo_width: layout.memos,
            count: 0,
            odd: None,
        }
    }

    /// A field of an item.
    pub fn slot(&self, item: usize, slot: usize) -> &Slot<'d> {
        self.slots.get(item * self.width + slot).unwrap_or(&Slot::Absent)
    }

    /// An intermediate result of an item.
    pub fn memo(&self, item: usize, memo: usize) -> Option<&Cell<Memo>> {
        self.memos.get(item * self.memo_width + memo)
    }

    /// One more item, with nothing in it yet.
    pub fn add(&mut self) -> &mut [Slot<'d>] {
        let start = self.slots.len();
        if start == 0 {
            self.slots.reserve(self.width * 8);
            self.memos.reserve(self.memo_width * 8);
        }
        self.slots.resize_with(start + self.width, || Slot::Absent);
        self.memos.resize_with(self.memos.len() + self.memo_width, || Cell::new(Memo::Empty));
        self.count += 1;
        self.slots.get_mut(start..).unwrap_or_default()
    }

    /// The slots of the first item.
    pub fn first(&mut self) -> &mut [Slot<'d>] {
        self.slots.get_mut(..self.width).unwrap_or_default()
    }

    /// The item at hand is no object.
    pub fn mark_odd(&mut self) {
        self.odd.get_or_insert(self.count.saturating_sub(1));
    }
}
