//! Writing records: one update per document, absolute values, asked about by a read of the same record.

use super::JiandaoyunSettings;
use super::reply::{NO_RECORD, Refusal, plain, read};
use async_trait::async_trait;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tongbao_connect::settings::SecretString;
use tongbao_connect::{Client, Context, Failure, Lookup, Outcome, Receipt, Remote, Sent, Target, Task};
use tongbao_model::diagnostic::Findings;
use tongbao_model::yaml::Node;
use tongbao_model::{Class, Code, Fault, decimal};

const UPDATE: &str = "update";
const GET: &str = "get";

/// Field of a document that names the record; everything else is a widget.
const DATA_ID: &str = "data_id";

/// A form: application and entry.
struct Form {
    app_id: String,
    entry_id: String,
}

struct Records {
    http: Client,
    base: url::Url,
    api_key: SecretString,
    forms: BTreeMap<String, Form>,
    timeout: Duration,
}

/// `Some(None)` when the connection writes nowhere; `None` when its settings are wrong.
pub fn build(
    settings: &JiandaoyunSettings,
    node: &Node,
    context: Context,
    findings: &mut Findings,
) -> Option<Option<Arc<dyn Target>>> {
    let mut forms = BTreeMap::new();
    for (kind, text) in &settings.entries {
        match text.split_once('/') {
            Some((app_id, entry_id))
                if !app_id.is_empty() && !entry_id.is_empty() && !entry_id.contains('/') =>
            {
                forms.insert(kind.clone(), Form { app_id: app_id.to_owned(), entry_id: entry_id.to_owned() });
            }
            _ => {
                let at = node.get("entries").and_then(|inner| inner.get(kind));
                findings.error(
                    "config-value",
                    at.map_or(node.place, |inner| inner.place),
                    format!("表单 {kind} 应形如 <应用 ID>/<表单 ID>"),
                    format!("the form of `{kind}` must look like `<app id>/<entry id>`"),
                );
            }
        }
    }
    if forms.len() < settings.entries.len() {
        return None;
    }
    match (settings.base_url.clone(), settings.api_key.clone()) {
        (Some(base), Some(api_key)) => {
            let timeout = Duration::from_millis(settings.timeout_ms);
            Some(Some(Arc::new(Records { http: context.http, base, api_key, forms, timeout })))
        }
        (None, None) if forms.is_empty() => Some(None),
        (_, _) => {
            findings.error(
                "config-missing",
                node.place,
                "回写需要 base_url 和 api_key",
                "to write, both `base_url` and `api_key` are needed",
            );
            None
        }
    }
}

impl Records {
    fn form(&self, kind: &str) -> Result<&Form, Failure> {
        self.forms.get(kind).ok_or_else(|| {
            let fault = Fault::new(
                Code::TargetMisconfigured,
                format!("entries 中没有 {kind}"),
                format!("`entries` has no form for `{kind}`"),
            );
            Failure::new(fault.at("entries"))
        })
    }

    /// Calls an operation on one record.
    async fn call(
        &self,
        operation: &str,
        form: &Form,
        data_id: &str,
        data: Option<Value>,
    ) -> Result<Map<String, Value>, Refusal> {
        let mut body = json!({"app_id": form.app_id, "entry_id": form.entry_id, "data_id": data_id});
        if let (Value::Object(body), Some(data)) = (&mut body, data) {
            body.insert("data".into(), data);
        }
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}/api/v5/app/entry/data/{operation}",
            self.base.path().trim_end_matches('/')
        ));
        let headers = [
            ("authorization", format!("Bearer {}", self.api_key.expose_secret())),
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json".to_owned()),
        ];
        let sent = Sent {
            method: reqwest::Method::POST,
            url,
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            body: body.to_string().into_bytes().into(),
            timeout: self.timeout,
        };
        let reply = self
            .http
            .send(sent)
            .await
            .map_err(|error| Refusal { code: String::new(), failure: Failure::new(error.fault()) })?;
        read(&reply, data_id)
    }

    /// The form, the record's id and its widgets.
    fn prepare(&self, task: &Task) -> Result<(&Form, String, Map<String, Value>), Failure> {
        let form = self.form(&task.kind)?;
        let mut widgets = task.document.members();
        let data_id = widgets.shift_remove(DATA_ID).map(|id| plain(&id)).unwrap_or_default();
        if data_id.is_empty() {
            let fault = Fault::new(
                Code::FieldMissing,
                "缺少要更新的数据 ID",
                "the id of the record to update is missing",
            );
            return Err(Failure::new(fault.at(DATA_ID)));
        }
        Ok((form, data_id, widgets))
    }
}

#[async_trait]
impl Target for Records {
    async fn apply(&self, task: &Task) -> Outcome {
        let (form, data_id, widgets) = match self.prepare(task) {
            Ok(prepared) => prepared,
            Err(failure) => return Outcome::Failed(failure),
        };
        let data = widgets.into_iter().map(|(name, value)| (name, json!({"value": value})));
        match self.call(UPDATE, form, &data_id, Some(Value::Object(data.collect()))).await {
            Ok(_) => Outcome::Done(receipt(task, &data_id)),
            Err(refusal) => Outcome::Failed(refusal.failure),
        }
    }

    /// Reads the record. Widgets that differ, or that the API prints in another form than it takes (members,
    /// departments, dates), are written once more: the values are absolute, so a repeat does no harm.
    async fn lookup(&self, task: &Task) -> Lookup {
        let (form, data_id, widgets) = match self.prepare(task) {
            Ok(prepared) => prepared,
            Err(failure) => return Lookup::CannotTell(failure),
        };
        match self.call(GET, form, &data_id, None).await {
            Ok(record) if widgets.iter().all(|(name, value)| same(record.get(name), value)) => {
                Lookup::Found(receipt(task, &data_id))
            }
            Ok(_) => Lookup::Absent,
            // `apply` will say it in so many words.
            Err(refusal) if refusal.code == NO_RECORD => Lookup::Absent,
            Err(refusal) => Lookup::CannotTell(refusal.failure.of_question()),
        }
    }

    /// Reads a record that is not there: the answer "no such record" proves address and key.
    async fn probe(&self) -> Result<String, Failure> {
        let Some((kind, form)) = self.forms.first_key_value() else {
            let fault = Fault::new(
                Code::TargetMisconfigured,
                "entries 为空，无从检查",
                "`entries` is empty: there is no form to ask",
            );
            return Err(Failure::new(fault.at("entries")));
        };
        match self.call(GET, form, "000000000000000000000000", None).await {
            Ok(_) => Ok(kind.clone()),
            Err(refusal) if refusal.failure.class == Class::Rejected => Ok(kind.clone()),
            Err(refusal) => Err(refusal.failure.of_question()),
        }
    }
}

/// Equal values; numbers by value, and no widget is the same as an empty one.
fn same(found: Option<&Value>, wanted: &Value) -> bool {
    let empty = |value: &Value| value.is_null() || value.as_str().is_some_and(str::is_empty);
    match found {
        None => empty(wanted),
        Some(found) if found == wanted || (empty(found) && empty(wanted)) => true,
        Some(found @ Value::Number(_)) => {
            matches!((decimal::parse(&plain(found)), decimal::parse(&plain(wanted))), (Ok(a), Ok(b)) if a == b)
        }
        Some(_) => false,
    }
}

fn receipt(task: &Task, data_id: &str) -> Receipt {
    let remote = Remote { id: data_id.to_owned(), number: task.key.clone(), step: "written".into() };
    Receipt { remote, ..Receipt::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_by_what_they_say() {
        let value = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
        for (found, wanted, equal) in [
            (Some("12.50"), "12.5", true),
            (Some("12.50"), "\"12.5\"", true),
            (Some("12.50"), "12.51", false),
            (Some("\"已到账\""), "\"已到账\"", true),
            (Some("{\"name\":\"甲\"}"), "\"甲\"", false),
            (Some("\"\""), "null", true),
            (None, "\"\"", true),
            (None, "0", false),
        ] {
            let found = found.map(value);
            assert_eq!(same(found.as_ref(), &value(wanted)), equal, "{found:?} {wanted}");
        }
    }
}
