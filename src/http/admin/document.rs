//! The document of the API, OpenAPI 3.1. Its operations and schemas come from the routes and types themselves; what all
//! operations have in common is added here, once.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use utoipa::openapi::{ContactBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};
use utoipa::{PartialSchema, ToSchema};

use super::actor::X_RELAY_REASON;
use super::input::REASON;
use super::problem::Problem;

/// The scheme of all operations. Each names the role that it takes.
pub(super) const SCHEME: &str = "operator";

const DESCRIPTION: &str = "\
Administration of a fal-relay: tenants, groups, keys, budgets, prices, operators, and the ledger of what was called and what it cost.

Every operation takes `Authorization: Bearer fr_admin_…`, an operator's token. Roles are `read`, `manage` and `owner`; each may \
do what those before it may, and each operation names the one that it takes. Money is a decimal text in US dollars, moments \
are RFC 3339 in UTC. Changes take a `reason` in the body, or in the header `x-relay-reason`; the audit log keeps it. Lists come in \
pages: give `next_cursor` as `cursor` for the next one, while `has_more` is true.";

/// An error that many operations have: status, name and description.
type Common = (u16, &'static str, &'static str);

const BAD_JSON: Common = (400, "BadRequest", "The body is no JSON, or broke off.");
const UNAUTHORIZED: Common =
    (401, "Unauthorized", "No token, or none that opens anything: one answer for all.");
const FORBIDDEN: Common = (403, "Forbidden", "It takes a higher role, which the answer names.");
const NOT_FOUND: Common = (404, "NotFound", "There is no such thing.");
const CONFLICT: Common = (409, "Conflict", "Something else stands in the way; the answer says what.");
const TOO_LARGE: Common = (413, "TooLarge", "The body is larger than this path takes.");
const MEDIA_TYPE: Common = (415, "MediaType", "The body is not sent as JSON.");
const INVALID: Common = (422, "Invalid", "A field cannot be taken; the answer names it.");
const FAILED: Common = (500, "Failed", "The relay failed; its log says why.");
const UNAVAILABLE: Common =
    (503, "Unavailable", "The store cannot be used at the moment, or it took too long.");

const COMMON: [Common; 10] = [
    BAD_JSON,
    UNAUTHORIZED,
    FORBIDDEN,
    NOT_FOUND,
    CONFLICT,
    TOO_LARGE,
    MEDIA_TYPE,
    INVALID,
    FAILED,
    UNAVAILABLE,
];

/// The document without its operations.
pub(super) fn begin() -> OpenApi {
    let licence =
        LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build();
    let contact = ContactBuilder::new().name(Some("The operator of this relay")).build();
    let info = InfoBuilder::new()
        .title("fal-relay admin API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(licence))
        .contact(Some(contact));
    OpenApiBuilder::new().info(info.build()).build()
}

/// Adds what all operations have in common.
pub(super) fn finish(document: &OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    let schemas = document["components"]["schemas"].take();
    let mut schemas = schemas.as_object().cloned().unwrap_or_default();
    schemas.insert(Problem::name().into(), json!(Problem::schema()));
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, item) in paths.iter_mut() {
            let operations = item.as_object_mut().into_iter().flatten();
            operations.for_each(|(method, operation)| complete(path, method, operation, &mut schemas));
        }
    }
    document["components"] = json!({
        "schemas": without_unused(schemas, &document["paths"]),
        "responses": responses(),
        "securitySchemes": {SCHEME: {
            "type": "http", "scheme": "bearer", "bearerFormat": "fr_admin_…", "description": "An operator's token.",
        }},
    });
    document
}

/// Adds to one operation the errors that it can have and, when it changes something, the reason that it takes.
fn complete(path: &str, method: &str, operation: &mut Value, schemas: &mut Map<String, Value>) {
    let mut errors = vec![UNAUTHORIZED, FORBIDDEN, INVALID, FAILED, UNAVAILABLE];
    if path.contains('{') {
        errors.push(NOT_FOUND);
    }
    if method != "get" {
        errors.push(CONFLICT);
        take_reason(operation, schemas);
    }
    if operation.get("requestBody").is_some() {
        errors.extend([BAD_JSON, TOO_LARGE, MEDIA_TYPE]);
    }
    for (status, name, _) in errors {
        operation["responses"][status.to_string()] =
            json!({"$ref": format!("#/components/responses/{name}")});
    }
}

/// A change takes its reason as a header and, beside what its body's type has, as a member of the body.
fn take_reason(operation: &mut Value, schemas: &mut Map<String, Value>) {
    let header = json!({
        "name": X_RELAY_REASON,
        "in": "header",
        "description": "Why, for the audit log; a `reason` in the body wins.",
        "schema": {"type": "string"},
    });
    match operation["parameters"].as_array_mut() {
        Some(parameters) => parameters.push(header),
        None => operation["parameters"] = json!([header]),
    }
    let Some(link) = operation.pointer_mut("/requestBody/content/application~1json/schema/$ref") else {
        return;
    };
    let name = link.as_str().and_then(|link| link.rsplit('/').next()).unwrap_or_default().to_owned();
    let mut body = schemas.get(&name).cloned().unwrap_or_default();
    let may_be_empty = body.get("required").is_none();
    body["properties"][REASON] =
        json!({"type": ["string", "null"], "description": "Why, for the audit log."});
    let name = format!("{name}Body");
    *link = Value::from(format!("#/components/schemas/{name}"));
    schemas.insert(name, body);
    // A body in which nothing must stand need not be sent.
    operation["requestBody"]["required"] = Value::Bool(!may_be_empty);
}

fn responses() -> Value {
    let schema = json!({"$ref": format!("#/components/schemas/{}", Problem::name())});
    let response = |(_, name, description): Common| {
        let content = json!({"application/json": {"schema": schema}});
        (name.to_owned(), json!({"description": description, "content": content}))
    };
    COMMON.into_iter().map(response).collect::<Map<_, _>>().into()
}

/// The schemas that something refers to, by whatever way.
fn without_unused(mut schemas: Map<String, Value>, paths: &Value) -> Map<String, Value> {
    let mut used = BTreeSet::from([Problem::name().into_owned()]);
    let mut unread = vec![paths.clone(), json!(Problem::schema())];
    while let Some(value) = unread.pop() {
        match value {
            Value::Array(items) => unread.extend(items),
            Value::Object(members) => {
                let link = members.get("$ref").and_then(Value::as_str);
                let name = link.and_then(|link| link.strip_prefix("#/components/schemas/"));
                if let Some(name) = name.filter(|name| used.insert((*name).to_owned())) {
                    unread.extend(schemas.get(name).cloned());
                }
                unread.extend(members.into_iter().map(|(_, value)| value));
            }
            _ => {}
        }
    }
    schemas.retain(|name, _| used.contains(name));
    schemas
}
