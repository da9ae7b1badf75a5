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
        name: "all",
        signature: "all(list, condition)",
        doc: ("每一行都满足条件", "whether the condition holds for every item"),
        example: "all(lines, quantity > 0)",
    },
    Function {
        name: "any",
        signature: "any(list, condition)",
        doc: ("至少一行满足条件", "whether the condition holds for some item"),
        example: "any(lines, tax_rate == 0)",
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
        signature: "count(list) or count(list, condition)",
        doc: (
            "列表行数，或其中满足条件的行数",
            "how many items a list has, or for how many the condition holds",
        ),
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
        name: "format",
        signature: "format(date or datetime, \"pattern\")",
        doc: (
            "按格式写出日期，时间先换到映射时区",
            "a date as text by a pattern; a time in the mapping's zone",
        ),
        example: "format(signed_at, \"%Y%m\")",
    },
    Function {
        name: "if",
        signature: "if(condition, then, else)",
        doc: ("条件取值", "one of two values"),
        example: "if(tax_rate == 0, \"1\", \"\")",
    },
    Function {
        name: "join",
        signature: "join(list, text, \"between\")",
        doc: ("各行文本连接，缺少的略去", "the texts of the items joined, absent ones left out"),
        example: "join(lines, product.name, \"、\")",
    },
    Function {
        name: "left",
        signature: "left(text, characters)",
        doc: ("截取前若干字符（明示的截断）", "the first characters: a cut that is declared"),
        example: "left(product.name, 90)",
    },
    Function {
        name: "lookup",
        signature: "lookup(list, key, value, field)",
        doc: (
            "在单据内另一列表中按键查找一行并取其字段",
            "the field of the item of another list whose key has that value",
        ),
        example: "lookup(products, id, product_id, name)",
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
        name: "share",
        signature: "share(amount, weight, places)",
        doc: (
            "把单据头金额按权重分摊到各行，最大余额法，合计一分不差",
            "a header amount spread over the lines by weight; the largest remainders take what is left, to the cent",
        ),
        example: "share(root.freight, amount_tax_included, 2)",
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
    Function {
        name: "trim",
        signature: "trim(text)",
        doc: ("去掉首尾空白", "without blanks at either end"),
        example: "trim(customer.name)",
    },
    Function {
        name: "upper",
        signature: "upper(text)",
        doc: ("转为大写", "in upper case"),
        example: "upper(currency)",
    },
];

/// The function of a name.
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}
