//! The closed list of what the compiler can find wrong in a file. Each code has a file in `mappings/refused` that shows
//! it and a line in the generated reference; a test holds the three together.

use tongbao_model::Text;
use tongbao_model::diagnostic::Severity;

/// A code, what it says, and what usually helps.
#[derive(Debug, Clone, Copy)]
pub struct DiagnosticCode {
    /// Stable text.
    pub code: &'static str,
    /// Whether it refuses the file.
    pub severity: Severity,
    /// What is wrong: Chinese, English.
    pub doc: (&'static str, &'static str),
    /// What usually helps: Chinese, English.
    pub fix: (&'static str, &'static str),
}

impl DiagnosticCode {
    /// The suggestion of findings that have no better one.
    pub fn usual(&self) -> Text {
        Text::new(self.fix.0, self.fix.1)
    }
}

/// The code of a text.
pub fn find(code: &str) -> Option<&'static DiagnosticCode> {
    CODES.iter().find(|known| known.code == code)
}

const fn error(
    code: &'static str,
    doc: (&'static str, &'static str),
    fix: (&'static str, &'static str),
) -> DiagnosticCode {
    DiagnosticCode { code, severity: Severity::Error, doc, fix }
}

const fn warning(
    code: &'static str,
    doc: (&'static str, &'static str),
    fix: (&'static str, &'static str),
) -> DiagnosticCode {
    DiagnosticCode { code, severity: Severity::Warning, doc, fix }
}

/// All codes, in the order in which a file is read.
pub const CODES: &[DiagnosticCode] = &[
    error(
        "yaml-syntax",
        ("文件不是有效的 YAML", "the file is not valid YAML"),
        ("检查缩进、冒号后的空格与引号", "look at the indentation, the blank after a colon and the quotes"),
    ),
    error(
        "yaml-documents",
        ("一个文件里有多个文档", "several documents in one file"),
        ("一个映射一个文件，去掉 ---", "one mapping a file: take the `---` out"),
    ),
    error("yaml-tag", ("用了锚点或标签", "an anchor or a tag is used"), ("把内容写全", "write it out")),
    error(
        "yaml-key",
        ("键不是普通文本", "a key is no plain text"),
        ("键写作普通文本", "write keys as plain texts"),
    ),
    error(
        "yaml-duplicate-key",
        ("同一层有重复的键", "a key stands twice on one level"),
        ("保留一个", "keep one of them"),
    ),
    error("yaml-depth", ("嵌套过深", "nested too deeply"), ("减少嵌套", "nest less")),
    error(
        "yaml-too-large",
        ("文件过大", "the file is too large"),
        ("拆成几个文件，用 include 合并", "split it and put the parts together with `include`"),
    ),
    error(
        "missing-key",
        ("缺少必须的键", "a key is missing that must be there"),
        ("补上该键", "add the key"),
    ),
    error(
        "unknown-key",
        ("未知的键", "an unknown key"),
        ("删去，或改为正确的名称", "take it out, or correct its name"),
    ),
    error(
        "value-kind",
        ("键的值应为另一种形式", "a key's value should be of another form"),
        ("按参考改写该值", "write the value as the reference says"),
    ),
    error(
        "version",
        ("文件格式版本未知", "an unknown version of the file format"),
        ("写 version: 2", "write `version: 2`"),
    ),
    error(
        "version-old",
        ("文件按较早的格式版本写成", "a file of an earlier version of the format"),
        ("运行 tongbao mapping check --fix 改写它", "run `tongbao mapping check --fix` to rewrite it"),
    ),
    error(
        "set-missing",
        ("没有目标字段", "no target fields"),
        ("在 set 下写目标字段与规则", "write target fields with their rules under `set`"),
    ),
    error(
        "reuse-file",
        ("引用的文件无法读取", "a file that this one builds on cannot be read"),
        ("路径相对于本文件所在目录", "paths are relative to the folder of this file"),
    ),
    error(
        "reuse-cycle",
        ("文件相互引用，或引用过多", "files build on one another in a circle, or too many do"),
        ("去掉其中一处引用", "take one of the references out"),
    ),
    error(
        "end-unknown",
        ("没有这种单据", "there is no such document"),
        ("名称见 tongbao schema 与各连接器的 README", "names: `tongbao schema`, and the connectors' READMEs"),
    ),
    error(
        "related",
        ("这样不能查找关联记录", "a related record cannot be looked up like this"),
        (
            "写作 related: { contract: { record: contract, key: contract_number } }",
            "write `related: { contract: { record: contract, key: contract_number } }`",
        ),
    ),
    error(
        "fields-missing",
        ("开放单据未声明字段", "an open document without declared fields"),
        ("在 fields 下写出字段及类型", "write its fields and their kinds under `fields`"),
    ),
    error(
        "field-kind",
        ("字段类型未知", "an unknown kind of field"),
        ("类型见参考", "the kinds are in the reference"),
    ),
    error("zone", ("未知时区", "an unknown time zone"), ("如 Asia/Shanghai", "for example `Asia/Shanghai`")),
    error(
        "target-unknown",
        ("目标单据没有该字段", "the target has no such field"),
        ("字段见 tongbao mapping schema", "fields: `tongbao mapping schema`"),
    ),
    error(
        "target-missing",
        ("目标必填字段未设置", "a field that the target requires is not set"),
        ("为它写一条规则，例如 const", "write a rule for it, a `const` for example"),
    ),
    error(
        "target-twice",
        ("目标字段设置了两次", "a target field is set twice"),
        ("保留一条规则", "keep one of the rules"),
    ),
    error(
        "rule",
        ("规则不完整或自相矛盾", "a rule that is incomplete or says two things"),
        ("from、expr、const、each、set 恰取其一", "exactly one of `from`, `expr`, `const`, `each`, `set`"),
    ),
    error(
        "rule-needless",
        ("规则中有不起作用的部分", "part of a rule does nothing"),
        ("删去它", "take it out"),
    ),
    error(
        "round",
        ("未知的舍入方式", "an unknown rounding"),
        ("half-up、half-even、down、up", "`half-up`, `half-even`, `down`, `up`"),
    ),
    error(
        "scale",
        ("小数位数无效", "a number of decimal places that cannot be"),
        ("0 至 12 的整数", "a whole number from 0 to 12"),
    ),
    error(
        "format",
        ("日期格式无效", "a pattern that no date can be written by"),
        ("例如 \"%Y-%m-%d\" 或 \"%Y%m\"", "for example `\"%Y-%m-%d\"` or `\"%Y%m\"`"),
    ),
    error(
        "expression",
        ("表达式无法读懂", "an expression that cannot be read"),
        ("语法见参考", "the syntax is in the reference"),
    ),
    error(
        "expression-size",
        ("表达式过长", "an expression that is too long"),
        ("拆成几个字段或检查", "split it over several fields or checks"),
    ),
    error(
        "source-unknown",
        ("来源单据没有该字段", "the source has no such field"),
        ("字段见 tongbao schema", "fields: `tongbao schema`"),
    ),
    error(
        "list-path",
        ("路径穿过列表", "a path goes through a list"),
        (
            "用 each 逐行，或 sum、join、lookup 等函数",
            "go line by line with `each`, or use `sum`, `join`, `lookup`",
        ),
    ),
    error(
        "type-mismatch",
        ("类型不符", "a value of another type"),
        ("换一个来源字段，或用函数转换", "take another source field, or convert with a function"),
    ),
    error(
        "function-unknown",
        ("没有该函数", "there is no such function"),
        ("函数见 tongbao mapping functions", "functions: `tongbao mapping functions`"),
    ),
    error(
        "function-arguments",
        ("函数参数不符", "arguments that do not fit the function"),
        ("见该函数的说明", "see how the function is called"),
    ),
    error(
        "share",
        ("此处不能分摊", "nothing can be spread here"),
        (
            "在没有 where 的 each 内分摊单据头金额",
            "spread an amount of the header within an `each` without `where`",
        ),
    ),
    error(
        "money-mixed",
        ("不同含义的金额混用", "amounts of different meaning meet"),
        ("用 net(含税, 税率) 与 tax(含税, 税率) 换算", "convert with net(gross, rate) and tax(gross, rate)"),
    ),
    error(
        "money-unused",
        ("来源金额没有去向", "a source amount goes nowhere"),
        ("映射它、写入 check，或列入 ignore", "map it, check it, or list it under `ignore`"),
    ),
    error(
        "currency-unused",
        ("金额被使用而币种没有", "amounts are used, their currency is not"),
        (
            "映射币种、用 check 或 refuse 限定它，或列入 ignore",
            "map the currency, bind it with `check` or `refuse`, or list it under `ignore`",
        ),
    ),
    error(
        "check-missing",
        ("没有检查合计等于明细之和", "no check that the total is the sum of the lines"),
        (
            "写 check: sum(lines.amount_tax_included) == total_tax_included",
            "write check: sum(lines.amount_tax_included) == total_tax_included",
        ),
    ),
    error(
        "total-open",
        ("目标金额字段未设置，无法核对", "no amount field of the target is set, so nothing can be compared"),
        (
            "设置目标明细的金额，或数量与单价",
            "set the amounts of the target's lines, or their quantity and price",
        ),
    ),
    error(
        "scale-narrowed",
        ("小数位数会被截断而未声明舍入", "decimal places would be lost and no rounding is named"),
        (
            "写 round: half-up，或用 round(…) / divide(…)",
            "write `round: half-up`, or use round(…) or divide(…)",
        ),
    ),
    error(
        "text-narrowed",
        ("文本可能超长而未声明截断", "a text can be too long and no cut is declared"),
        ("写 cut: true，或用 left(…)", "write `cut: true`, or use left(…)"),
    ),
    error(
        "ignore-unknown",
        ("ignore 中的字段不存在", "a field under `ignore` that does not exist"),
        ("更正名称或删去", "correct the name, or take it out"),
    ),
    warning(
        "source-unused",
        ("来源字段未被使用", "source fields that nothing uses"),
        ("映射它们，或列入 ignore", "map them, or list them under `ignore`"),
    ),
    warning(
        "tests-missing",
        ("缺少测试", "tests are missing"),
        ("至少一个通过、一个拒绝", "at least one accepted and one refused"),
    ),
];
