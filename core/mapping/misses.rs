//! The faults of values that no table and no list has, and what they still tell when they are stored.

use tongbao_model::{Code, Fault};

/// A value that the file's own list does not have.
pub fn unmapped(code: &str) -> Fault {
    Fault::new(
        Code::ValueUnmapped,
        format!("映射文件的 values 中没有 {code}"),
        format!("the mapping's `values` has no `{code}`"),
    )
}

/// A code that a table does not have.
pub fn table_miss(table: &str, code: &str, on: Option<jiff::civil::Date>) -> Fault {
    let (zh_on, en_on) = match on {
        Some(on) => (format!("在 {on} 有效的"), format!(" that holds on {on}")),
        None => (String::new(), String::new()),
    };
    Fault::new(
        Code::CodeTableMiss,
        format!("对照表 {table} 中没有{zh_on}编码 {code}"),
        format!("the code table `{table}` has no row for `{code}`{en_on}"),
    )
    .value(code)
    .remedy(
        format!("在对照表 {table} 中补上 {code}（tongbao tables import），然后重放。"),
        format!("Add `{code}` to the table `{table}` (tongbao tables import), then replay."),
    )
}

/// Table and code that a `code-table-miss` is about: what stored faults still tell of it.
pub fn missed(fault: &Fault) -> Option<(&str, &str)> {
    if fault.code != Code::CodeTableMiss {
        return None;
    }
    let mut quoted = fault.message.en.split('`').skip(1).step_by(2);
    Some((quoted.next()?, quoted.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_tells_its_table_and_code() {
        let on = Some(jiff::civil::date(2026, 7, 1));
        assert_eq!(missed(&table_miss("customers", "C9|CNY", on)), Some(("customers", "C9|CNY")));
        assert_eq!(missed(&unmapped("C9")), None);
    }
}
