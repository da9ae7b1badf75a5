//! The closed list of functions.

/// A function of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// Name.
    pub name: &'static str,
    /// How it is called.
    pub signature: &'static str,
    /// What it gives: Chinese, English.
    pub doc: (&'static str, &'static str),
    /// An example.
    pub example: &'static str,
}

/// All functions, by name.
pub const FUNCTIONS: &[Function] = &[
    Function {
        name: "abs",
        signature: "abs(number)",
        doc: ("绝对值", "the absolute value"),
        example: "abs(total_tax_included)",
    },
    Function {
        name: "coalesce",
        signature: "coalesce(a, b, …)",
        doc: ("第一个存在的值", "the first value that is present"),
        example: "coalesce(note, \"\")",
    },
    Function {
        name: "concat",
        signature: "concat(a, b, …)",
        doc: ("拼接文本；数字按原样写出", "texts joined; numbers as written"),
        example: "concat(\"合同 \", number)",
    },
    Function {
        name: "count",
        signature: "count(list)",
        doc: ("列表行数", "how many items a list has"),
        example: "count(lines)",
    },
    Function {
        name: "date",
        signature: "date(datetime)",
        doc: ("时间在映射时区中的日期", "the date of a time, in the mapping's zone"),
        example: "date(signed_at)",
    },
    Function {
        name: "divide",
        signature: "divide(a, b, places)",
        doc: ("相除并四舍五入到指定位数", "a ÷ b, rounded half up to so many places"),
        example: "divide(amount_tax_included, quantity, 8)",
    },
    Function {
        name: "if",
        signature: "if(condition, then, else)",
        doc: ("条件取值", "one of two values"),
        example: "if(tax_rate == 0, \"1\", \"\")",
    },
    Function {
        name: "left",
        signature: "left(text, characters)",
        doc: ("截取前若干字符（明示的截断）", "the first characters: a cut that is declared"),
        example: "left(product.name, 90)",
    },
    Function {
        name: "max",
        signature: "max(a, b)",
        doc: ("较大者", "the greater"),
        example: "max(revision, 1)",
    },
    Function {
        name: "millis",
        signature: "millis(datetime)",
        doc: ("自 1970 年起的毫秒数，可作修订号", "milliseconds since 1970, usable as a revision"),
        example: "millis(FModifyDate)",
    },
    Function { name: "min", signature: "min(a, b)", doc: ("较小者", "the smaller"), example: "min(a, b)" },
    Function {
        name: "net",
        signature: "net(gross, rate)",
        doc: (
            "含税金额的不含税部分，两位小数，四舍五入",
            "the tax-excluded part of a tax-included amount, two places, half up",
        ),
        example: "net(amount_tax_included, tax_rate)",
    },
    Function {
        name: "present",
        signature: "present(path)",
        doc: ("该字段是否存在且非空", "whether the field is there and not empty"),
        example: "present(customer.tax_number)",
    },
    Function {
        name: "round",
        signature: "round(number, places)",
        doc: ("四舍五入到指定位数", "rounded half up to so many places"),
        example: "round(quantity * unit_price_tax_included, 2)",
    },
    Function {
        name: "sum",
        signature: "sum(list.field) or sum(list, expression)",
        doc: ("列表各行之和", "the sum over a list"),
        example: "sum(lines.amount_tax_included)",
    },
    Function {
        name: "tax",
        signature: "tax(gross, rate)",
        doc: ("含税金额的税额：含税减不含税", "the tax in a tax-included amount: gross less net"),
        example: "tax(amount_tax_included, tax_rate)",
    },
    Function {
        name: "text",
        signature: "text(number)",
        doc: ("数字的文本", "a number as text"),
        example: "text(line)",
    },
];

/// The function of a name.
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}
