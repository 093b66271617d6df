//! Why the browser undid a transaction. Rexie does not tell, and the room that the browser speaks of need not be the room that
//! there is: Chromium says 10 GiB more than is used, whatever its quota.

use idb::{Database, Error, Factory, TransactionMode};
use js_sys::ArrayBuffer;
use wasm_bindgen::{JsCast, JsValue};

use crate::store::StoredPart;

/// Takes the place of a hash, so that what a killed page leaves of an attempt goes with other parts of no use.
const ATTEMPT: &str = "attempt";

/// Asks the browser to store `values` once more, in a transaction whose error can be read, and takes them away again. The name
/// of what it has against them, if anything.
pub(super) async fn refusal(database: &str, store: &str, values: &[JsValue]) -> Option<String> {
    if values.is_empty() {
        return None;
    }
    let database = Factory::new().ok()?.open(database, None).ok()?.await.ok()?;
    let refusal = attempted(&database, store, values).await;
    database.close();
    refusal.unwrap_or_else(|error| {
        log::warn!("why a transaction was undone is not known: {error}");
        None
    })
}

async fn attempted(
    database: &Database,
    store: &str,
    values: &[JsValue],
) -> Result<Option<String>, Error> {
    let keys: Vec<JsValue> = (0u64..)
        .zip(values)
        .map(|(start, value)| {
            let buffer = value.dyn_ref::<ArrayBuffer>();
            let part = StoredPart {
                sha256: ATTEMPT.to_owned(),
                start,
                bytes: buffer.map_or(0, |buffer| u64::from(buffer.byte_length())),
            };
            JsValue::from_str(&part.key())
        })
        .collect();
    let writing = database.transaction(&[store], TransactionMode::ReadWrite)?;
    let records = writing.object_store(store)?;
    for (value, key) in values.iter().zip(&keys) {
        records.put(value, Some(key))?;
    }
    let outcome = writing.await;
    if let Some(error) = records.transaction().error() {
        return Ok(Some(error.name()));
    }
    if outcome?.is_committed() {
        let deleting = database.transaction(&[store], TransactionMode::ReadWrite)?;
        let records = deleting.object_store(store)?;
        for key in keys {
            records.delete(idb::Query::Key(key))?;
        }
        deleting.await?;
    }
    Ok(None)
}
