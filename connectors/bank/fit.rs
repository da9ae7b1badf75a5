//! Which layout a line of column names fits, and what a row says in its columns.

use super::layout::Layout;
use super::statement::in_row;
use super::table::Line;
use super::text;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use tongbao_model::Fault;

/// A layout with the columns it was found in.
pub struct Fit<'a> {
    /// The layout.
    pub layout: &'a Layout,
    /// Columns by role.
    pub columns: BTreeMap<&'a str, Vec<usize>>,
}

impl Fit<'_> {
    /// The first column of a role.
    pub fn column(&self, role: &str) -> Option<usize> {
        self.columns.get(role).and_then(|found| found.first().copied())
    }

    /// The cell of a role as it stands; empty where there is none.
    pub fn cell<'l>(&self, line: &'l Line, role: &str) -> &'l str {
        self.column(role).map_or("", |index| line.cell(index))
    }

    /// The cells of a role that hold something.
    pub fn cells<'l>(&self, line: &'l Line, role: &str) -> impl Iterator<Item = &'l str> {
        let indexes = self.columns.get(role).cloned().unwrap_or_default();
        indexes.into_iter().map(|index| text::clean(line.cell(index))).filter(|cell| !text::is_empty(cell))
    }

    /// The first of a role's cells that names something; platforms write `0` where there is nothing.
    pub fn reference(&self, line: &Line, role: &str) -> Option<String> {
        self.cells(line, role).find(|cell| *cell != "0").map(str::to_owned)
    }

    /// Everything that a role's cells say, each thing once.
    pub fn text(&self, line: &Line, role: &str) -> Option<String> {
        let mut parts: Vec<&str> = Vec::new();
        for cell in self.cells(line, role) {
            if !parts.contains(&cell) {
                parts.push(cell);
            }
        }
        if parts.is_empty() { None } else { Some(parts.join(" ")) }
    }

    /// The amount of a role; a fault names row and role.
    pub fn amount(&self, line: &Line, role: &str) -> Result<Option<Decimal>, Fault> {
        text::amount(self.cell(line, role)).map_err(|fault| in_row(fault, line.place, role))
    }
}

/// How a layout fits a line of column names; `None` when a column is missing that it needs.
pub fn fit<'a>(layout: &'a Layout, line: &Line) -> Option<(usize, Fit<'a>)> {
    let names: Vec<String> = line.cells.iter().map(|cell| text::name(text::clean(cell))).collect();
    let mut columns: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (role, wanted) in &layout.columns {
        let found: Vec<usize> =
            wanted.iter().filter_map(|name| names.iter().position(|known| known == name)).collect();
        if !found.is_empty() {
            columns.insert(role, found);
        }
    }
    let needs = ["date", "in", "out", "amount", "direction"].into_iter();
    let mut needs = needs
        .filter(|role| layout.columns.contains_key(*role))
        .chain(layout.needs.iter().map(String::as_str));
    if !needs.all(|role| columns.contains_key(role)) {
        return None;
    }
    let score = columns.values().map(Vec::len).sum();
    Some((score, Fit { layout, columns }))
}
