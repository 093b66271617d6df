//! What the store has lost of a converted package, made again.

use model::hub::Place;
use model::manifest::FileHash;
use protocol::{Fault, FaultCode};

use super::prospect::planned;
use super::sink::noted;
use super::source::Read;
use super::{Tools, run};
use crate::Host;
use crate::fetching::Trying;

/// Makes a file of a converted package again that the store has lost, from the bytes that it was made of. Where that is not
/// possible any more nothing is deleted and nothing else is fetched: the package counts as incomplete from then on, so that the
/// next load tells how much there is to fetch.
///
/// # Errors
/// As for [`repack`](super::repack), and if it can't be made again.
pub(crate) async fn restore<H: Host>(
    tools: Tools<'_, H>,
    place: &Place,
    file: &FileHash,
    trying: Trying,
) -> Result<H::Bytes, Fault> {
    let key = place.key();
    log::warn!("{} is made again", file.file);
    match remade(tools, &key, file, trying).await {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(lost(tools, &key, file, "of what it was made is not known").await?),
        // The files are not there any more, or are others.
        Err(fault) if matches!(fault.code, FaultCode::NotFound | FaultCode::Corrupt) => {
            Err(lost(tools, &key, file, &fault.detail).await?)
        }
        Err(fault) => Err(fault),
    }
}

/// The file; `None` if what is known of the conversion does not lead to it.
async fn remade<H: Host>(
    tools: Tools<'_, H>,
    key: &str,
    file: &FileHash,
    trying: Trying,
) -> Result<Option<H::Bytes>, Fault> {
    let record = noted(tools.shelf, key).await?;
    let Some(mut record) = record.filter(|record| record.pinned.can_go_on()) else {
        return Ok(None);
    };
    let read = Read::default();
    let plan = planned(tools, &record.pinned, &read, trying).await?;
    let length = |file: &String| record.pinned.file(file).map_or(0, |file| file.bytes);
    let lengths: Vec<u64> = plan.source_files.iter().map(length).collect();
    // From another plan everything would be made anew.
    let Some(checkpoint) = (record.checkpoint.as_mut()).filter(|it| it.fits(&plan, &lengths))
    else {
        return Ok(None);
    };
    checkpoint.forget(&file.file);
    run(tools, key, &record, &plan, &read, trying, &mut |_| {}).await?;
    tools.shelf.get(key, file).await
}

/// The fault of a file that can't be made again.
async fn lost<H: Host>(
    tools: Tools<'_, H>,
    key: &str,
    file: &FileHash,
    why: &str,
) -> Result<Fault, Fault> {
    tools.shelf.lose(key, file).await?;
    let detail = format!(
        "{} is lost in the store, and can't be made again alone ({why}): load the model again to fetch what it lacks",
        file.file
    );
    Ok(Fault::new(FaultCode::Corrupt, detail))
}
