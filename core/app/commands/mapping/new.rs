//! `tongbao mapping new` and `schema`: the beginning of a file, and help while it is written.

use crate::cli::NewArgs;
use crate::config::Documents;
use crate::output::{self, Exit};
use tongbao_mapping::{Ends, Skeleton};
use tongbao_model::shape::Shape;

/// Prints the beginning of a new mapping.
pub fn run(args: &NewArgs) -> Exit {
    let documents = Documents::all();
    let (Some(from), Some(to)) = (end(&documents, &args.from), end(&documents, &args.to)) else {
        return Exit::Usage;
    };
    let key = tongbao_connectors::all().iter().find_map(|connector| {
        let name = args.to.strip_prefix(connector.name)?.strip_prefix('/')?;
        (connector.documents)().into_iter().find(|kind| kind.shape.name == name)?.key
    });
    let name = args.name.clone().unwrap_or_else(|| {
        let part = |name: &str| name.rsplit('/').next().unwrap_or(name).to_lowercase().replace('_', "-");
        format!("{}-to-{}", part(&args.from), part(&args.to))
    });
    let skeleton = Skeleton { name: &name, from: (&args.from, &from), to: (&args.to, &to), key };
    output::line(skeleton.text().trim_end());
    Exit::Ok
}

/// Prints the JSON Schema of mapping files, with a target's fields where one is named.
pub fn schema(to: Option<&str>) -> Exit {
    let documents = Documents::all();
    let target = match to {
        None => None,
        Some(name) => match end(&documents, name) {
            None => return Exit::Usage,
            // An open document has the fields the file declares.
            Some(shape) => (!shape.fields.is_empty()).then_some(shape),
        },
    };
    output::json(&tongbao_mapping::schema(target.as_ref()));
    Exit::Ok
}

fn end(documents: &Documents, name: &str) -> Option<Shape> {
    if documents.is_open(name) {
        return Some(Shape { name: name.to_owned().into(), doc: "".into(), fields: Vec::new(), total: None });
    }
    let shape = documents.shape(name);
    if shape.is_none() {
        let known = documents.names().join(", ");
        output::note(&format!("没有单据 {name} / there is no document `{name}`\n{known}"));
    }
    shape
}
